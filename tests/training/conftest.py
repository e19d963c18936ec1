"""Recipes and jobs that the training tests share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lrmctl.backends.base import TrainJob
from lrmctl.lab import base_path
from lrmctl.recipe.schema import RlRecipe, SftRecipe

SFT: dict[str, Any] = {
    "kind": "sft",
    "name": "tiny-sft",
    "model": "lab:tiny",
    "data": {"sources": [{"use": "lab-teacher", "options": {"variant": "mixed", "n": 64}}], "max_len": 256},
    "train": {"epochs": 2, "batch_size": 16},
    "optimizer": {"learning_rate": 1e-3, "micro_batch_size": 8},
}
RL: dict[str, Any] = {
    "kind": "rl",
    "name": "tiny-rl",
    "model": "lab:tiny",
    "prompts": [{"use": "lab-prompts", "options": {"n": 32}}],
    "reward": {"components": [{"use": "format"}]},
    "algorithm": {"steps": 3, "prompts_per_step": 4, "samples_per_prompt": 4},
    "rollout": {"max_new_tokens": 64},
    "optimizer": {"learning_rate": 1e-4, "micro_batch_size": 8},
    "max_len": 192,
}


def merged(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """A recipe with dotted keys set anew."""
    out = {k: dict(v) if isinstance(v, dict) else v for k, v in base.items()}
    for key, value in changes.items():
        *path, last = key.split(".")
        section = out
        for word in path:
            section[word] = dict(section.get(word, {}))
            section = section[word]
        section[last] = value
    return out


@pytest.fixture
def sft_job(tmp_path: Path) -> Callable[..., TrainJob]:
    """An SFT job of 64 rows; keyword arguments are dotted recipe keys with `__` for the dot."""

    def make(rows: int = 64, **changes: Any) -> TrainJob:
        recipe = SftRecipe.model_validate(merged(SFT, {k.replace("__", "."): v for k, v in changes.items()}))
        demonstrations = [{"prompt": f"p{i}", "response": "r"} for i in range(rows)]
        return TrainJob(recipe, base_path(), tmp_path / "run", demonstrations)

    return make


@pytest.fixture
def rl_job(tmp_path: Path) -> Callable[..., TrainJob]:
    """An RL job of 32 prompts; keyword arguments as with `sft_job`."""

    def make(rows: int = 32, **changes: Any) -> TrainJob:
        recipe = RlRecipe.model_validate(merged(RL, {k.replace("__", "."): v for k, v in changes.items()}))
        prompts = [{"prompt": f"p{i}", "label": "{}"} for i in range(rows)]
        return TrainJob(recipe, base_path(), tmp_path / "run", prompts, "http://127.0.0.1:1/reward")

    return make
