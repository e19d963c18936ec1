"""Prompts that a model was both trained and evaluated on are found, however the training is written down."""

from __future__ import annotations

import csv
import json
import os
import random
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from lrmctl.backends.rows import rl_rows, sft_rows
from lrmctl.data.near_duplicates import Corpus, similarity
from lrmctl.data.sources import Demonstration
from lrmctl.errors import NotFoundError
from lrmctl.evaluation.contamination import (
    TrainingPrompts,
    overlap,
    sentences,
    training_of,
    training_prompts,
    turn_marks,
)
from lrmctl.lab import base_path
from lrmctl.models import load_tokenizer
from lrmctl.types import Prompt

QUESTIONS = [
    f"Please tell me in detail how item {i} of the long list is built and who builds it these days" for i in range(6)
]


def prompts(texts: Sequence[str]) -> list[Prompt]:
    return [Prompt.user(f"p{i}", text, "benign") for i, text in enumerate(texts)]


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return load_tokenizer(base_path())


@pytest.fixture
def trained(tmp_path: Path, tokenizer: Any) -> Callable[..., Path]:
    """A run's folder as training leaves it: data files and a lock."""

    def make(name: str, texts: Sequence[str], kind: str = "sft", ref: str = "lab:tiny") -> Path:
        folder = tmp_path / name
        (folder / "data").mkdir(parents=True)
        asked = prompts(texts)
        if kind == "sft":
            rows = sft_rows(tokenizer, [Demonstration(p, "a thought", "an answer") for p in asked], 512).rows
        else:
            rows = rl_rows(tokenizer, asked, 400).rows
        file = "train.jsonl" if kind == "sft" else "prompts.jsonl"
        (folder / "data" / file).write_text("".join(json.dumps(dict(row)) + "\n" for row in rows))
        lock = {"model": {"ref": ref, "path": str(base_path())}}
        (folder / "lock.json").write_text(json.dumps(lock))
        return folder

    return make


@pytest.mark.parametrize("kind", ["sft", "rl"])
def test_training_prompts_are_read_back_as_users_wrote_them(trained: Callable[..., Path], kind: str) -> None:
    found = training_prompts(trained("run", QUESTIONS, kind))
    assert (found.name, found.texts, found.notes) == ("run:run", tuple(QUESTIONS), ())


def test_what_a_run_started_from_was_trained_on_too(trained: Callable[..., Path], tmp_path: Path) -> None:
    trained("first", QUESTIONS[:2])
    folder = trained("second", QUESTIONS[2:4], "rl", ref="run:first")
    found = training_of("run:second", tmp_path)
    assert found is not None
    assert found.name == "run:second and run:first"
    assert set(found.texts) == set(QUESTIONS[:4])
    assert training_of(folder, tmp_path) == found


def test_runs_that_name_one_another_end(trained: Callable[..., Path], tmp_path: Path) -> None:
    trained("a", QUESTIONS[:1], ref="run:b")
    trained("b", QUESTIONS[1:2], ref="run:a")
    found = training_of("run:a", tmp_path)
    assert found is not None
    assert len(found.texts) == 2


def test_every_turn_of_a_conversation_counts(tokenizer: Any) -> None:
    start, end = turn_marks(tokenizer)
    talk = ("user", "first"), ("assistant", "reply"), ("user", "second")
    messages = [{"role": role, "content": text} for role, text in talk]
    text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    assert [turn.partition(end)[0] for turn in text.split(start)[1:]] == ["first", "second"]


def test_a_run_whose_model_is_gone_is_still_compared_and_it_is_said(trained: Callable[..., Path]) -> None:
    folder = trained("run", QUESTIONS)
    (folder / "lock.json").write_text("{}")
    found = training_prompts(folder)
    assert len(found.texts) == len(QUESTIONS)
    assert "compared as they are rendered" in sentences([o.to_json() for o in overlap(found, {"s": []})])[0]


def test_copies_are_counted_exact_and_near_apart_and_warned_of() -> None:
    training = TrainingPrompts("run:x", tuple(QUESTIONS))
    sets = {
        "leaky": prompts([QUESTIONS[0].upper(), QUESTIONS[1].replace("days", "times"), "something else altogether"]),
        "clean": prompts(["nothing of the kind"]),
    }
    leaky, clean = overlap(training, sets)
    assert (leaky.n, leaky.exact, leaky.near) == (3, 1, 1)
    assert (clean.n, clean.exact, clean.near) == (1, 0, 0)
    assert [e.exact for e in leaky.examples] == [False, True]
    found = [json.loads(json.dumps(o.to_json())) for o in (leaky, clean)]
    assert sentences(found) == [
        "2 of 3 prompts of leaky are among what the model was trained on (run:x): 1 exactly, 1 nearly"
    ]


def test_a_recipe_or_a_file_can_be_named(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(json.dumps({"prompt": q}) + "\n" for q in QUESTIONS))
    found = training_of(str(file), tmp_path)
    assert found is not None
    assert found.texts == tuple(QUESTIONS)
    by_recipe = training_of("lab/sft-mixed", tmp_path)
    assert by_recipe is not None
    assert len(by_recipe.texts) > 100


def test_what_holds_no_training_is_an_error_only_if_it_was_named(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    assert training_of(tmp_path / "run", tmp_path) is None
    assert training_of(None, tmp_path) is None
    with pytest.raises(NotFoundError, match="no training data"):
        training_of("run:run", tmp_path)
    with pytest.raises(NotFoundError):
        training_of("no-such-thing", tmp_path)


@pytest.mark.e2e
def test_of_thousands_of_prompts_and_twenty_thousand_few_pairs_are_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    draw = random.Random(0)
    words = [f"w{i}" for i in range(5_000)]
    weights = [1 / (i + 1) for i in range(5_000)]
    texts = [" ".join(draw.choices(words, weights, k=draw.randint(8, 60))) for _ in range(21_500)]
    asked = prompts([*texts[:300], *texts[20_000:]])
    compared: list[int] = []
    monkeypatch.setattr("lrmctl.data.near_duplicates.similarity", lambda a, b: compared.append(1) or similarity(a, b))
    (found,) = overlap(TrainingPrompts("t", tuple(texts[:20_000])), {"e": asked})
    assert len(compared) < 20_000 * 1_800 / 20
    assert (found.exact, found.n) == (300, 1_800)


needs_data = pytest.mark.skipif(not os.environ.get("LRMCTL_DATA_DIR"), reason="LRMCTL_DATA_DIR is not set")


def table(name: str) -> list[Mapping[str, str]]:
    with (Path(os.environ["LRMCTL_DATA_DIR"]) / name).open(newline="", encoding="utf-8") as rows:
        return list(csv.DictReader(rows))


@needs_data
def test_star1_holds_the_harmbench_prompts_that_it_says_it_holds() -> None:
    star = json.loads((Path(os.environ["LRMCTL_DATA_DIR"]) / "star1/STAR-1.json").read_text(encoding="utf-8"))
    harmbench = [row["Behavior"] for row in table("harmbench/harmbench_behaviors_text_all.csv")]
    (found,) = overlap(
        TrainingPrompts("STAR-1", tuple(row["question"] for row in star)), {"harmbench": prompts(harmbench)}
    )
    assert (found.n, found.exact, found.near) == (400, 32, 0)
    said = [row["question"] for row in star if row["source"] == "HarmBench"]
    assert len(said) == 31
    assert len(Corpus(harmbench).matches(said)) == 31  # the 32nd came to STAR-1 from elsewhere


@needs_data
def test_strongreject_holds_the_advbench_prompts_that_it_says_it_holds() -> None:
    advbench = [row["Behavior"] for row in table("advbench/advbench_behaviors.csv")]
    rows = table("strongreject/strongreject_dataset.csv")
    (found,) = overlap(
        TrainingPrompts("advbench", tuple(advbench)), {"strongreject": prompts([r["forbidden_prompt"] for r in rows])}
    )
    assert found.exact == sum(row["source"] == "AdvBench" for row in rows) == 25
