"""An SFT recipe as OpenRLHF's flags: those that follow from the recipe alone, without a model or data."""

from __future__ import annotations

from typing import Any

from lrmctl.backends.openrlhf import common
from lrmctl.backends.openrlhf.flags.offline import shared_flags
from lrmctl.recipe.schema.recipes import OfflineRecipe


def recipe_flags(recipe: OfflineRecipe, target: common.ComputeTarget) -> dict[str, Any]:
    """OpenRLHF's flags for a recipe on a device."""
    return {
        "data.input_key": "prompt",
        "data.output_key": "response",
        "data.input_template": "{}",
        **shared_flags(recipe, target),
    }
