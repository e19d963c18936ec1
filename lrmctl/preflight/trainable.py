"""Prepares a training recipe: model override, lengths that fit the model, validation."""

from __future__ import annotations

from pathlib import Path

from lrmctl.errors import RecipeError
from lrmctl.preflight.positions import fit_lengths
from lrmctl.preflight.validate import validate
from lrmctl.recipe.load import LoadedRecipe
from lrmctl.recipe.schema.recipes import OfflineRecipe, RlRecipe


def trainable(
    loaded: LoadedRecipe, model: str | None, runs_dir: Path | None = None
) -> tuple[LoadedRecipe, OfflineRecipe | RlRecipe]:
    """Override the model if one is given, fit default lengths to the model, and validate the recipe.

    Raises:
        RecipeError: the recipe does not train, or is invalid.
    """
    if model is not None:
        loaded = loaded.override({"model": model}, "--model")
    loaded = fit_lengths(loaded, runs_dir)
    recipe = loaded.recipe
    if not isinstance(recipe, (OfflineRecipe, RlRecipe)):
        raise RecipeError(
            f"a recipe of kind {recipe.kind} does not train", str(loaded.path), "give one of kind sft, preference or rl"
        )
    validate(loaded, runs_dir)
    return loaded, recipe
