"""Validates a reward's `options:` in a recipe, so that nonsense is refused before a run starts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from lrmctl._util.suggest import did_you_mean
from lrmctl.errors import RecipeError


def number(option: str, value: Any, low: float = -math.inf, high: float = math.inf) -> float:
    """The value as a finite float within [low, high].

    Raises:
        RecipeError: it is not such a number.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise RecipeError(f"`{option}` is {value!r}, not a number")
    if not low <= value <= high:
        raise RecipeError(f"`{option}` is {value:g}", fix=f"give a number {_within(low, high)}")
    return float(value)


def whole_number(option: str, value: Any, low: int = 1) -> int:
    """The value as an int of at least `low`.

    Raises:
        RecipeError: it is not such a number.
    """
    if int(number(option, value, low)) != value:
        raise RecipeError(f"`{option}` is {value!r}, not a whole number")
    return int(value)


def one_of(option: str, value: Any, known: Sequence[str]) -> str:
    """The value, if it is one of the known words.

    Raises:
        RecipeError: it is not; names the closest word.
    """
    if value not in known:
        raise RecipeError(f"`{option}` is {value!r}", fix=did_you_mean(str(value), known))
    return str(value)


def _within(low: float, high: float) -> str:
    if math.isinf(high):
        return f"of at least {low:g}"
    return f"of at most {high:g}" if math.isinf(low) else f"from {low:g} to {high:g}"
