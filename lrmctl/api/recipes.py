"""Arguments common to all functions: a recipe of the right kind, and the folder of all runs."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lrmctl.errors import RecipeError
from lrmctl.recipe.load import LoadedRecipe, load_recipe
from lrmctl.runs.names import RUNS_DIR_VARIABLE, runs_folder
from lrmctl.runs.output import refuse_no_folder

AnyRecipeRef = str | Path | LoadedRecipe
"""A recipe's file, a shipped name, or a loaded recipe."""

Overrides = Mapping[str, Any] | Sequence[str]
"""Recipe keys to change: `{"algorithm.steps": 4}`, or texts as for `--set`."""

_COMMANDS = {
    "sft": "train",
    "preference": "train",
    "rl": "train",
    "eval": "eval --recipe",
    "study": "study",
    "data": "data build",
}


def recipe_of_kind(ref: str | Path, *kinds: str, sets: Sequence[str] = (), on: str | None = None) -> LoadedRecipe:
    """Load a recipe that must be of one of these kinds.

    Args:
        sets: overrides as on the command line, `section.key=value`.
        on: the model that a method is trained on.

    Raises:
        NotFoundError, RecipeError: no such recipe, an invalid one, or one of another kind.
    """
    loaded = load_recipe(ref, sets, on=on)
    kind = loaded.recipe.kind
    if kind not in kinds:
        raise RecipeError(
            f"{ref} is a recipe of kind {kind}; this takes {' or '.join(kinds)}",
            where=loaded.where("kind"),
            fix=f"lrmctl {_COMMANDS[kind]} {shlex.quote(str(ref))}",
        )
    return loaded


def chosen_recipe(
    recipe: AnyRecipeRef, *kinds: str, overrides: Overrides | None = None, on: str | None = None
) -> LoadedRecipe:
    """The recipe with overrides, recorded like the same `--set` options."""
    if not isinstance(recipe, LoadedRecipe):
        return recipe_of_kind(recipe, *kinds, sets=as_sets(overrides), on=on)
    if on is not None:
        raise RecipeError("the recipe is loaded already", "on", "load it on the model, or name it")
    if overrides and not isinstance(overrides, Mapping):
        raise RecipeError("the recipe is loaded already", "overrides", 'say {"section.key": value}')
    return recipe.override(overrides, "overrides") if isinstance(overrides, Mapping) and overrides else recipe


def as_sets(overrides: Overrides | None) -> list[str]:
    """Overrides in the form of `--set`."""
    if isinstance(overrides, Mapping):
        return [f"{key}={json.dumps(value)}" for key, value in overrides.items()]
    return list(overrides or ())


@contextmanager
def runs_in(folder: str | Path | None) -> Iterator[Path]:
    """The folder of all runs: the one given, else that of the environment (`LRMCTL_RUNS`), else `runs`.

    Judges and rewards that name a run's model look for it there too, in all processes.

    Raises:
        LrmctlError: there is no folder of this name, and it cannot be created.
    """
    chosen = runs_folder() if folder is None else Path(folder)
    refuse_no_folder(chosen, "runs_dir")
    before = os.environ.get(RUNS_DIR_VARIABLE)
    os.environ[RUNS_DIR_VARIABLE] = str(chosen.absolute())
    try:
        yield chosen
    finally:
        if before is None:
            os.environ.pop(RUNS_DIR_VARIABLE, None)
        else:
            os.environ[RUNS_DIR_VARIABLE] = before
