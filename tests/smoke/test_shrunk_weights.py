"""A smoke run of SFT with importance weights loads no model but the tiny one."""

from __future__ import annotations

from pathlib import Path

import pytest

from lrmctl.recipe.load import load_recipe
from lrmctl.recipe.schema.recipes import SftRecipe
from lrmctl.smoke.shrink import shrink


@pytest.mark.parametrize("behaviour", ["run:lab-expert", "Qwen/Qwen3-8B"])
def test_the_policy_that_wrote_the_rows_is_the_tiny_model(behaviour: str, tmp_path: Path) -> None:
    loaded = load_recipe("lab/sft-pear", [f"data.loss_weights.importance.behaviour={behaviour}"])
    small = shrink(loaded, tmp_path / "smoke", tmp_path / "runs")
    recipe = small.loaded.recipe
    assert isinstance(recipe, SftRecipe)
    assert recipe.data.loss_weights.importance is not None
    assert recipe.data.loss_weights.importance.behaviour == recipe.model
    assert f"importance weights: {behaviour} -> the tiny model" in small.replaced
