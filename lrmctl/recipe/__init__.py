"""Recipes: their schema (`schema`), loading them (`load`), finding shipped ones, and locking what ran."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lrmctl._util.lazy import lazy_names

if TYPE_CHECKING:
    from lrmctl.recipe.find import find_recipe, shipped
    from lrmctl.recipe.load import LoadedRecipe, load_recipe
    from lrmctl.recipe.lock import recipe_hash, write_lock
    from lrmctl.recipe.problems import Problem, ProblemsError, located, raise_for

__all__ = [
    "LoadedRecipe",
    "Problem",
    "ProblemsError",
    "find_recipe",
    "load_recipe",
    "located",
    "raise_for",
    "recipe_hash",
    "shipped",
    "write_lock",
]

__getattr__ = lazy_names(
    __name__,
    {
        "load": ["LoadedRecipe", "load_recipe"],
        "find": ["find_recipe", "shipped"],
        "lock": ["recipe_hash", "write_lock"],
        "problems": ["Problem", "ProblemsError", "located", "raise_for"],
    },
)
