"""Converts a reward's return value to a `Score`, the same way in training, scoring and `reward test`.

A number is anything that Python counts as real (bool, int, float, Decimal, Fraction, NumPy's) and an array or tensor
with one element; text that looks like a number is not. Never raises.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping
from decimal import Decimal
from numbers import Real
from typing import Any

from lrmctl.types import Score


def as_score(returned: object) -> Score:
    """A score whose value is a finite float or missing, or that failed and says why."""
    if not isinstance(returned, Score):
        value = finite(returned) if returned is not None else None
        return Score(error=f"returned {value}") if isinstance(value, str) else Score(value)
    if returned.error:
        return Score(None, str(returned.error), _logs(returned.logs)[0])
    value = finite(returned.value) if returned.value is not None else None
    if isinstance(value, str):
        return Score(error=f"returned a Score whose value is {value}")
    logs, wrong = _logs(returned.logs)
    return Score(error=f"returned a Score whose {wrong}") if wrong else Score(value, logs=logs)


def finite(value: object) -> float | str:
    """The number as a plain float, or a description of what it is instead."""
    try:
        number = _number(value)
    except Exception as error:  # from the value's own class: a tensor on no device, an integer too large
        return f"a {type(value).__name__} that is no number ({type(error).__name__})"
    if isinstance(number, str):
        return number
    return number if math.isfinite(number) else str(number)


def _number(value: object) -> float | str:
    if isinstance(value, (Real, Decimal)):
        return float(value)
    if (one := _single(value)) is not None:
        return _number(one) if not hasattr(one, "item") else f"a {type(value).__name__}, not a number"
    if inspect.iscoroutine(value):
        value.close()  # or Python warns that it was never awaited
        return "a coroutine, not a number: nobody awaits a reward, so make it a plain function"
    shape = getattr(value, "shape", None)
    if shape is not None:
        return f"a {type(value).__name__} of shape {tuple(shape)}, not one number"
    return f"a {type(value).__name__}, not a number"


def _single(value: Any) -> object | None:
    """The element of a NumPy scalar, or of an array or tensor with exactly one; None for anything else."""
    if not hasattr(value, "item") or not hasattr(value, "shape"):
        return None
    return value.item() if math.prod(value.shape) == 1 else None


def _logs(logs: object) -> tuple[dict[str, float], str]:
    """Logs as plain numbers, and what is wrong with the first that is not one."""
    if not isinstance(logs, Mapping):
        return {}, f"logs are a {type(logs).__name__}, not a mapping"
    found = {str(name): finite(value) for name, value in logs.items()}
    wrong = next((f"log {name!r} is {value}" for name, value in found.items() if isinstance(value, str)), "")
    return {name: value for name, value in found.items() if not isinstance(value, str)}, wrong
