"""Jobs that the training tests share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from training_recipes import PREFERENCE, RL, SFT, merged

from lrmctl.backends.base import TrainJob
from lrmctl.lab import base_path
from lrmctl.recipe.schema.preference import PreferenceRecipe
from lrmctl.recipe.schema.recipes import RlRecipe, SftRecipe


@pytest.fixture
def sft_job(tmp_path: Path) -> Callable[..., TrainJob]:
    """An SFT job of 64 rows; keyword arguments are dotted recipe keys with `__` for the dot."""

    def make(rows: int = 64, **changes: Any) -> TrainJob:
        recipe = SftRecipe.model_validate(merged(SFT, {k.replace("__", "."): v for k, v in changes.items()}))
        demonstrations = [{"prompt": f"p{i}", "response": "r"} for i in range(rows)]
        return TrainJob(recipe, base_path(), tmp_path / "run", demonstrations)

    return make


@pytest.fixture
def preference_job(tmp_path: Path) -> Callable[..., TrainJob]:
    """A preference job of 64 pairs; keyword arguments as with `sft_job`."""

    def make(rows: int = 64, **changes: Any) -> TrainJob:
        changed = merged(PREFERENCE, {k.replace("__", "."): v for k, v in changes.items()})
        pairs = [{"prompt": f"p{i}", "chosen": "c", "rejected": "r"} for i in range(rows)]
        return TrainJob(PreferenceRecipe.model_validate(changed), base_path(), tmp_path / "run", pairs)

    return make


@pytest.fixture
def rl_job(tmp_path: Path) -> Callable[..., TrainJob]:
    """An RL job of 32 prompts; keyword arguments as with `sft_job`."""

    def make(rows: int = 32, **changes: Any) -> TrainJob:
        recipe = RlRecipe.model_validate(merged(RL, {k.replace("__", "."): v for k, v in changes.items()}))
        prompts = [{"prompt": f"p{i}", "label": "{}"} for i in range(rows)]
        return TrainJob(recipe, base_path(), tmp_path / "run", prompts, "http://127.0.0.1:1/reward")

    return make
