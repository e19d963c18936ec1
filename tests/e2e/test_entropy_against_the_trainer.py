"""The entropy of rollouts, read again by the analysis's forward pass, is what OpenRLHF logs of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from training_recipes import RL, merged

from lrmctl.engines.hf.engine import HfEngine
from lrmctl.lab import base_path
from lrmctl.recipe.load import load_recipe
from lrmctl.runs.jsonl import read_jsonl
from lrmctl.training.run import train
from lrmctl.types import Prompt

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

ONE_STEP = {
    "algorithm.steps": 1,
    "algorithm.prompts_per_step": 8,
    "rollout.max_new_tokens": 110,
    "max_len": 256,
    "optimizer.micro_batch_size": 32,
}
"""One update from the base, so that the logged entropy is the base's."""


def ids_of(engine: HfEngine, row: dict[str, Any]) -> tuple[list[int], list[int]] | None:
    """What the trainer's actor read: the lab writes its tags and blank lines in one way. None if the text was cut."""
    tokenizer = engine.tokenizer
    asked = Prompt.user(row["prompt_id"], row["prompt"], row["kind"])
    text = f"{row['thinking']}\n</think>\n\n{row['answer']}"
    wrote = tokenizer.encode(text, add_special_tokens=False)
    if row["finish_reason"] != "stop" or len(wrote) != row["thinking_tokens"] + row["answer_tokens"] + 2:
        return None
    return tokenizer.encode(engine.render(asked), add_special_tokens=False), [*wrote, tokenizer.eos_token_id]


def test_the_mean_over_rollouts_is_the_trainers_own(tmp_path: Path) -> None:
    (tmp_path / "rl.yaml").write_text(yaml.safe_dump(merged(RL, ONE_STEP)))
    run = train(load_recipe(tmp_path / "rl.yaml"), runs_dir=tmp_path, name="one")
    (logged,) = read_jsonl(run.path / "metrics.jsonl")
    engine = HfEngine(base_path())
    rollouts = list(read_jsonl(run.path / "rollouts.jsonl"))
    pairs = [pair for row in rollouts if (pair := ids_of(engine, row)) is not None]
    assert len(pairs) == len(rollouts) == 32
    found = [one.entropy for some in engine.token_statistics(pairs) for _, one in some]
    entropies = np.concatenate(found)
    assert entropies.size / len(pairs) == pytest.approx(logged["response_length"])
    assert float(entropies.mean(dtype=float)) == pytest.approx(logged["entropy"], rel=1e-3)
