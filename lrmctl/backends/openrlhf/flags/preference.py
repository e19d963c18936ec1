"""A preference recipe as OpenRLHF's flags: those that follow from the recipe alone, without a model or data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lrmctl.backends.openrlhf import common
from lrmctl.backends.openrlhf.flags.offline import shared_flags
from lrmctl.recipe.schema.preference import PreferenceRecipe

PREFERENCE_RECIPE_KEYS: Mapping[str, str] = {
    "model.beta": "preference.beta",
    "model.ipo_enable": "preference.loss: ipo",
    "model.label_smoothing": "preference.label_smoothing",
    "model.nll_loss_coef": "preference.nll_weight",
}
"""OpenRLHF's flags that have a recipe key of this kind only, with the key."""


def recipe_flags(recipe: PreferenceRecipe, target: common.ComputeTarget) -> dict[str, Any]:
    """OpenRLHF's flags for a recipe on a device."""
    section = recipe.preference
    return {
        "data.prompt_key": "prompt",
        "data.chosen_key": "chosen",
        "data.rejected_key": "rejected",
        "data.input_template": "{}",
        "eval.split": "train",  # a JSONL file has no other; its default is `test`
        "model.beta": section.beta,
        "model.ipo_enable": section.loss == "ipo",
        "model.label_smoothing": section.label_smoothing,
        "model.nll_loss_coef": section.nll_weight,
        **shared_flags(recipe, target),
    }
