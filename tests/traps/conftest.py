"""lm-eval's own models on the shipped tiny model, to be held against ours: the same prompts, the same checkpoint."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

PROMPTS = 6


@pytest.fixture(scope="session")
def base() -> Path:
    from lrmctl.lab import base_path

    return base_path()


@pytest.fixture(scope="session")
def special_tags(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same model, except that its think tags are special tokens, as with some public models."""
    made = tmp_path_factory.mktemp("special") / "model"
    shutil.copytree(base, made)
    file = made / "tokenizer.json"
    tokenizer = json.loads(file.read_text())
    for token in tokenizer["added_tokens"]:
        token["special"] = True
    file.write_text(json.dumps(tokenizer))
    config = made / "tokenizer_config.json"
    settings = json.loads(config.read_text())
    for token in settings.get("added_tokens_decoder", {}).values():
        token["special"] = True
    config.write_text(json.dumps(settings))
    return made


Theirs = Callable[..., list[list[str]]]


@pytest.fixture(scope="session")
def theirs(base: Path) -> Theirs:
    """Runs a task of the lab's arithmetic through lm-eval alone; the responses of each prompt, one per repeat."""
    logging.getLogger("lm_eval").setLevel(logging.ERROR)

    def run(
        model: Path | Any = base,
        *,
        kwargs: dict[str, Any],
        repeats: int = 1,
        args: dict[str, Any] | None = None,
        **how: Any,
    ) -> list[list[str]]:
        import lm_eval
        from lm_eval.tasks import TaskManager

        task = {
            "task": "theirs",
            "custom_dataset": lambda **_: _dataset(),
            "test_split": "test",
            "output_type": "generate_until",
            "doc_to_text": lambda doc: doc["question"],
            "doc_to_target": lambda doc: doc["reference"],
            "generation_kwargs": kwargs,
            "repeats": repeats,
            "metric_list": [{"metric": "exact_match"}],
            **how.pop("task", {}),
        }
        local = isinstance(model, Path)
        found = lm_eval.simple_evaluate(
            model="hf" if local else model,
            model_args={"pretrained": str(model), "dtype": "float32", "device": "cpu", **(args or {})}
            if local
            else None,
            tasks=[task],
            task_manager=TaskManager(include_defaults=False),
            apply_chat_template=True,
            batch_size=8,
            bootstrap_iters=0,
            log_samples=True,
            **how,
        )
        rows = {row["doc_id"]: row["resps"][0] for row in found["samples"]["theirs"]}
        return [rows[i] for i in sorted(rows)]

    return run


def _dataset() -> Any:
    from datasets import Dataset, DatasetDict

    from lrmctl.reasoning.tasks import reasoning_task

    rows = [{"question": p.text, "reference": p.reference} for p in reasoning_task("lab_arithmetic").load(PROMPTS)]
    return DatasetDict({"test": Dataset.from_list(rows)})
