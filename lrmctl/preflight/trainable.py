"""A recipe that trains, with the model and the lengths that it will train with."""

from __future__ import annotations

from pathlib import Path

from lrmctl.errors import RecipeError
from lrmctl.preflight.positions import fit_lengths
from lrmctl.preflight.validate import validate
from lrmctl.recipe.load import LoadedRecipe
from lrmctl.recipe.schema.recipes import RlRecipe, SftRecipe


def trainable(
    loaded: LoadedRecipe, model: str | None, runs_dir: Path | None = None
) -> tuple[LoadedRecipe, SftRecipe | RlRecipe]:
    """A recipe that trains, checked whole, with `model` in place of its own if one is given, and default lengths that
    fit the model.

    Raises:
        RecipeError: it is of another kind, or something in it cannot be.
    """
    if model is not None:
        loaded = loaded.override({"model": model}, "--model")
    loaded = fit_lengths(loaded, runs_dir)
    recipe = loaded.recipe
    if not isinstance(recipe, (SftRecipe, RlRecipe)):
        raise RecipeError(f"a recipe of kind {recipe.kind} does not train", str(loaded.path), "give an sft or rl one")
    validate(loaded, runs_dir)
    return loaded, recipe
