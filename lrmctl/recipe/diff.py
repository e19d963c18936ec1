"""Differences between two resolved recipes: key, both values, and where each was written.

A recipe is a file, a shipped name, or `run:NAME` for the locked recipe of a run. A run's recipe is not validated again:
it may be older than the schema.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lrmctl.errors import NotFoundError, RecipeError
from lrmctl.recipe.load import load_recipe
from lrmctl.recipe.schema.algorithm import PRESETS
from lrmctl.recipe.yaml import KeyPath, dotted, read
from lrmctl.runs.names import named_run

_ABSENT = object()


@dataclass(frozen=True)
class RecipeDifference:
    """One key that differs. If a recipe lacks the key, its value is None and its place is empty.

    Attributes:
        a, b: the values, JSON types.
        where_a, where_b: `file:line`, `preset NAME` or `default`.
    """

    key: str
    a: Any
    b: Any
    where_a: str
    where_b: str


@dataclass(frozen=True)
class RecipeSide:
    """One of the two recipes.

    Attributes:
        data: the resolved recipe.
        where: returns the place of a key path.
    """

    data: dict[str, Any]
    where: Callable[[KeyPath], str]


def side(ref: str, runs_dir: Path) -> RecipeSide:
    """A recipe by reference.

    Raises:
        NotFoundError: no such recipe or run.
        RecipeError: the recipe is invalid.
    """
    if ref.startswith("run:"):
        return side_of_run(runs_dir / named_run(ref), ref)
    loaded = load_recipe(ref)

    def where(path: KeyPath) -> str:
        return loaded.where(*path) if loaded.is_set(*path) else _unsaid(data, path)

    data = loaded.resolved
    return RecipeSide(data, where)


def _unsaid(data: dict[str, Any], path: KeyPath) -> str:
    """The origin of a value that no file sets."""
    preset = data["algorithm"]["preset"] if path[0] == "algorithm" else None
    return f"preset {preset}" if preset and path[1] in PRESETS[preset] else "default"


def side_of_run(folder: Path, ref: str) -> RecipeSide:
    """The locked recipe of a run's folder.

    Raises:
        NotFoundError: it has none.
    """
    lock = folder / "lock.json"
    try:
        data = json.loads(lock.read_text(encoding="utf-8"))["recipe"]
    except PermissionError:
        raise
    except (OSError, ValueError, KeyError, TypeError):
        raise NotFoundError(f"no run {ref!r} with a locked recipe", str(lock), "`lrmctl run list`") from None
    try:
        written = read(folder / "recipe.yaml")
    except (NotFoundError, RecipeError):
        written = None
    same = written is not None and written.data == data

    def where(path: KeyPath) -> str:
        return str(written.where(path)) if written is not None and same else str(lock)

    return RecipeSide(data, where)


def diff(a: RecipeSide, b: RecipeSide) -> list[RecipeDifference]:
    """The keys that differ, in the order of `a`, then those that only `b` has."""
    return [
        RecipeDifference(
            dotted(path),
            None if one is _ABSENT else one,
            None if other is _ABSENT else other,
            "" if one is _ABSENT else a.where(path),
            "" if other is _ABSENT else b.where(path),
        )
        for path, one, other in _walk(a.data, b.data, ())
    ]


def _walk(a: Any, b: Any, path: KeyPath) -> Iterator[tuple[KeyPath, Any, Any]]:
    """Pairs of unequal values, recursing into mappings and lists of mappings; a list of plain values is one value."""
    if isinstance(a, dict) and isinstance(b, dict):
        for key in dict.fromkeys((*a, *b)):
            yield from _walk(a.get(key, _ABSENT), b.get(key, _ABSENT), (*path, key))
    elif _is_list_of_sections(a) and _is_list_of_sections(b):
        for i in range(max(len(a), len(b))):
            yield from _walk(a[i] if i < len(a) else _ABSENT, b[i] if i < len(b) else _ABSENT, (*path, i))
    elif a != b or isinstance(a, bool) is not isinstance(b, bool):
        yield path, a, b


def _is_list_of_sections(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(item, dict) for item in value)
