"""A prompt's response policy: the kinds of answer that are right, from whatever a row or a recipe gives."""

from __future__ import annotations

from typing import Any

from lrmctl._util.suggest import did_you_mean
from lrmctl.rows.values import missing, quoted_value
from lrmctl.types import RESPONSE_KINDS, RESPONSE_POLICY, Prompt, ResponseKind

FIX = f"give one or several of {', '.join(RESPONSE_KINDS)}, in a list or separated by commas"


def response_kinds(value: Any) -> tuple[ResponseKind, ...]:
    """The kinds that a value names: a list of names, or a text with commas, as a CSV has it. Each once, in order.

    Raises:
        ValueError: it names none, or something else; completes the sentence "the value ...".
    """
    names = value.split(",") if isinstance(value, str) else value
    if not isinstance(names, list | tuple) or not all(isinstance(name, str) for name in names):
        raise ValueError(f"is {quoted_value(value)}, not a list of kinds of response")
    named = [name.strip() for name in names]
    if odd := next((name for name in named if name not in RESPONSE_KINDS), None):
        raise ValueError(f"names {odd!r}, which is no kind of response; {did_you_mean(odd, RESPONSE_KINDS)}")
    found = tuple(kind for kind in dict.fromkeys(named) if kind)
    if not found or "" in named:
        raise ValueError(f"is {quoted_value(value)}: no answer would be right")
    return found  # type: ignore[return-value]


def policy_of(prompt: Prompt) -> tuple[ResponseKind, ...] | None:
    """The kinds of answer that are right for a prompt; None if it does not say.

    Raises:
        ValueError: what it says cannot be read.
    """
    value = prompt.meta.get(RESPONSE_POLICY)
    return None if missing(value) else response_kinds(value)
