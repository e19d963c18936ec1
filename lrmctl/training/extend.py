"""Extends a run to more steps, the only recipe change that a resumed run allows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from lrmctl.errors import RunExistsError
from lrmctl.runs.folder import RunFolder

LENGTH = {"rl": "algorithm.steps", "sft": "train.epochs", "preference": "train.epochs"}
"""Kind of recipe -> the key that may increase."""
_ELSEWHERE = ("launch", "model", "trackers", "requires")


class OtherRecipeError(RunExistsError):
    """The run was started from another recipe."""


def check_longer(folder: RunFolder, was: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Check that a recipe differs from the one that the run was started with only in being longer.

    Args:
        was, now: the resolved recipes.

    Raises:
        OtherRecipeError: another key differs (named in the error), or the run would be shorter.
    """
    key = LENGTH.get(str(now.get("kind")), "")
    changed = dict(_changes(_plain(was), _plain(now)))
    others = [f"{name} was {a} and is {b}" for name, (a, b) in changed.items() if name != key]
    if others:
        more = f", and {len(others) - 1} more" if len(others) > 1 else ""
        raise OtherRecipeError(
            f"the run {folder.name!r} was started from another recipe: {others[0]}{more}",
            str(folder.lock),
            f"go on with {folder.recipe}, of which only {key} may grow; or choose another --name",
        )
    before, after = changed.get(key, (0, 1))  # no key changed: only a number's notation differs
    if not after > before:
        raise OtherRecipeError(
            f"{key} of the run {folder.name!r} was {before} and is {after}: a run can only grow",
            str(folder.lock),
            "choose another --name",
        )


def set_model_aside(folder: RunFolder, steps: int) -> Path | None:
    """Rename the model of a run that continues to its step, so that it is kept; None if there was none."""
    if not folder.model.exists():
        return None
    numbers = ["", *(f".{n}" for n in range(1, 1000))]
    free = next(p for n in numbers if not (p := folder.path / f"model-step{steps}{n}").exists())
    folder.model.rename(free)
    return free


def _plain(recipe: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in recipe.items() if key not in _ELSEWHERE}


def _changes(was: Any, now: Any, path: str = "") -> Iterator[tuple[str, tuple[Any, Any]]]:
    if isinstance(was, Mapping) and isinstance(now, Mapping):
        for key in dict.fromkeys((*was, *now)):
            yield from _changes(was.get(key), now.get(key), f"{path}.{key}" if path else str(key))
    elif was != now:
        yield path, (was, now)
