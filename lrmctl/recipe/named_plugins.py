"""The plugins that a recipe names, with the key and the options of each. Creates nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from lrmctl.hooks.members import members_in
from lrmctl.recipe.load import LoadedRecipe
from lrmctl.recipe.schema.engines import is_built_in
from lrmctl.recipe.yaml import KeyPath, walk

_HOLDERS = {
    "sources": "source",
    "prompts": "source",
    "components": "reward",
    "safety": "benchmark",
    "trackers": "tracker",
}


@dataclass(frozen=True)
class NamedPlugin:
    """One plugin that a recipe names, with its key and options."""

    path: KeyPath
    group: str
    name: str
    options: Mapping[str, Any]


def named_plugins(loaded: LoadedRecipe) -> Iterator[NamedPlugin]:
    """Every plugin that this recipe names itself, not those of a study's arms."""
    for path, section in walk(loaded.resolved):
        if not isinstance(section, dict) or _free_form(path):
            continue
        if path == ("analysis",):
            for index, name in enumerate(section["lexicons"]):
                yield NamedPlugin((*path, "lexicons", index), "lexicon", name, {})
        elif path[:2] == ("analysis", "also"):
            yield NamedPlugin((*path, "use"), "analysis", section["use"], section["options"])
        elif path == ("analysis", "transitions"):
            yield NamedPlugin((*path, "lexicon"), "lexicon", section["lexicon"], {})
            yield from _judges(path, section)
        elif path[-1:] == ("engine",) and not is_built_in(str(section.get("use", "hf"))):
            yield NamedPlugin((*path, "use"), "engine", section["use"], section.get("options") or {})
        elif path == ("launch",) and section["via"] != "local":
            yield NamedPlugin((*path, "via"), "launcher", section["via"], section["options"])
        elif path == ("build",) and "cues" in section:
            yield NamedPlugin((*path, "cues"), "lexicon", section["cues"], {})
        elif path == ("backend",):
            yield NamedPlugin((*path, "name"), "backend", section["name"], {})
        elif (path == ("evaluation",) and "judge" in section) or (len(path) >= 2 and path[-2] in ("also", "judges")):
            yield from _judges(path, section)
        elif section.get("use") and len(path) >= 2 and path[-2] in _HOLDERS:
            yield NamedPlugin((*path, "use"), _HOLDERS[str(path[-2])], section["use"], section["options"])
            yield from _judges(path, section)


def _free_form(path: KeyPath) -> bool:
    """Whether the path is inside options, flags or overrides, whose keys are not the recipe's own."""
    return any(str(key).endswith("options") or key in ("flags", "set") for key in path)


def _judges(path: KeyPath, section: Mapping[str, Any]) -> Iterator[NamedPlugin]:
    if "judge" in section:
        if section["judge"] is not None:  # None: the evaluation's judge
            yield from _with_members((*path, "judge"), section["judge"], section["judge_options"])
    elif isinstance(judge := section["options"].get("judge"), str):
        yield from _with_members((*path, "options", "judge"), judge, section["options"].get("judge_options") or {})


def _with_members(path: KeyPath, judge: str, options: Any) -> Iterator[NamedPlugin]:
    """A judge, and the members if it is a panel."""
    yield NamedPlugin(path, "judge", judge, options)
    for member in members_in(judge, options):
        yield NamedPlugin(path, "judge", member.name, member.options)
