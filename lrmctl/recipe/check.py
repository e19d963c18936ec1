"""Whether the names in a recipe exist: plugins, their options, and the recipes of a study's arms. Runs nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from lrmctl.errors import LrmctlError, RecipeError
from lrmctl.hooks import registry
from lrmctl.hooks.manager import Entry
from lrmctl.recipe.load import LoadedRecipe, load_recipe
from lrmctl.recipe.source import KeyPath, dotted, walk

_HOLDERS = {"sources": "source", "prompts": "source", "components": "reward", "safety": "benchmark"}


@dataclass(frozen=True)
class Named:
    """One plugin that a recipe names: which key names it, and with which options."""

    path: KeyPath
    group: str
    name: str
    options: Mapping[str, Any]


def named_plugins(loaded: LoadedRecipe) -> Iterator[Named]:
    """Every plugin that this recipe names itself; those of a study's arms are theirs."""
    for path, section in walk(loaded.resolved):
        if not isinstance(section, dict) or _free_form(path):
            continue
        if path == ("backend",):
            yield Named((*path, "name"), "backend", section["name"], {})
        elif "use" in section and len(path) >= 2 and path[-2] in _HOLDERS:
            yield Named((*path, "use"), _HOLDERS[str(path[-2])], section["use"], section["options"])
            yield from _judges(path, section)


def _free_form(path: KeyPath) -> bool:
    """Inside options, flags or overrides, where words are not the recipe's own."""
    return any(str(key).endswith("options") or key in ("flags", "set") for key in path)


def _judges(path: KeyPath, section: Mapping[str, Any]) -> Iterator[Named]:
    if "judge" in section:
        yield Named((*path, "judge"), "judge", section["judge"], section["judge_options"])
    elif isinstance(judge := section["options"].get("judge"), str):
        yield Named((*path, "options", "judge"), "judge", judge, section["options"].get("judge_options") or {})


def check_plugins(loaded: LoadedRecipe) -> list[Entry]:
    """The registry's entries behind all names of a recipe.

    Raises:
        RecipeError: names that nobody registers or options that do not fit, all in one error.
    """
    entries: list[Entry] = []
    problems: list[str] = []
    for named in named_plugins(loaded):
        try:
            entries.append(registry.check(named.group, named.name, named.options))
        except LrmctlError as error:
            fix = f"; {error.fix}" if error.fix else ""
            problems.append(f"{loaded.where(*named.path)}: {dotted(named.path)}: {error.what}{fix}")
    if problems:
        raise RecipeError("\n  ".join(["the recipe names what cannot be used:", *problems]))
    return entries


def load_arms(loaded: LoadedRecipe) -> dict[str, LoadedRecipe]:
    """The recipes of a study's arms by arm name, with the study's base and the arm's overrides in them.

    Raises:
        RecipeError: an arm's recipe does not load, or is not one that trains; names the arm's line.
    """
    from lrmctl.recipe.schema import StudyRecipe

    study = loaded.recipe
    if not isinstance(study, StudyRecipe):
        return {}
    arms: dict[str, LoadedRecipe] = {}
    for index, arm in enumerate(study.arms):
        place = loaded.where("arms", index, "recipe")
        try:
            found = load_recipe(arm.recipe, beside=loaded.path)
            if found.recipe.kind not in ("sft", "rl"):
                raise RecipeError(f"is a recipe of kind {found.recipe.kind}; an arm trains, with sft or rl")
            arms[arm.name] = found.override({"seed": study.seed, **arm.set, "model": study.base}, f"{place}: set")
        except LrmctlError as error:
            raise RecipeError(f"arm {arm.name!r}: {error}", where=place) from None
    return arms


def validate(loaded: LoadedRecipe) -> list[Entry]:
    """Everything that can be known without running: plugins, options, and the same of every arm."""
    entries = check_plugins(loaded)
    for arm in load_arms(loaded).values():
        entries += check_plugins(arm)
    return entries
