"""`requires:` of a recipe: distributions that it needs, as pip writes them. Imports and loads no plugin."""

from __future__ import annotations

import shlex
from importlib import metadata
from typing import TYPE_CHECKING

from lrmctl._util.requirement import parse_requirement
from lrmctl.errors import RecipeError

if TYPE_CHECKING:
    from lrmctl.recipe.load import LoadedRecipe


def check_requirements(loaded: LoadedRecipe) -> None:
    """Check that every distribution that a recipe requires is installed in a version that it takes.

    Raises:
        RecipeError: one is not; names all of them, and the pip command that installs them.
    """
    problems, missing, line = [], [], ""
    for index, text in enumerate(loaded.recipe.requires):
        requirement = parse_requirement(text)
        if requirement.marker is not None and not requirement.marker.evaluate():
            continue
        wanted = f"{requirement.name}{requirement.specifier}"
        try:
            installed = metadata.version(requirement.name)
        except metadata.PackageNotFoundError:
            problems.append(f"{wanted}, which is not installed")
        else:
            if requirement.specifier.contains(installed, prereleases=True):
                continue
            problems.append(f"{wanted}, and {installed} is installed")
        missing.append(wanted)
        line = line or loaded.where("requires", index)
    if problems:
        what = f"the recipe requires {'; and '.join(problems)}"
        raise RecipeError(what, line, f"pip install {shlex.join(missing)}")
