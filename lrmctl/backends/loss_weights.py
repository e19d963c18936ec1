"""Weights of the tokens of SFT rows: of the recipe, the source, and the row itself, multiplied."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from lrmctl.data.sources import Demonstration
from lrmctl.errors import RecipeError
from lrmctl.recipe.schema.loss_weights import LossWeights

KEY = "loss_weight"
"""Key of a row's own weight: a number, one for each part, or one for each token of the response."""


def has_weights(rows: Sequence[Demonstration], section: LossWeights) -> bool:
    """Whether anything weighs other than 1."""
    return not section.plain or any(row.loss_weight != 1 or KEY in row.prompt.meta for row in rows)


def token_weights(
    row: Demonstration, text: str, answer_at: int, tokens: int, section: LossWeights, tokenizer: Any
) -> list[float]:
    """One weight for each token of a row's response.

    Args:
        text: prompt and response as rendered.
        answer_at: index in `text` at which the answer begins.
        tokens: number of tokens of the response.

    Raises:
        RecipeError: the row's own weight is none, or its number of tokens is another one; or nothing of it weighs
            anything, which in a step of such rows would be a division by zero.
    """
    thinking = tokens - _answer_tokens(tokenizer, text, answer_at, tokens)
    parts = _own(row, tokens)
    whole = [section.thinking * row.loss_weight] * thinking + [section.answer * row.loss_weight] * (tokens - thinking)
    if isinstance(parts, list):
        values = [a * b for a, b in zip(whole, parts, strict=True)]
    else:
        values = [w * (parts[0] if i < thinking else parts[1]) for i, w in enumerate(whole)]
    if not any(values):
        raise RecipeError(f"all weights of the row {row.prompt.id!r} are 0", KEY, "leave the row out")
    return values


def refuse_weights(rows: Sequence[Demonstration]) -> None:
    """Refuse weights of sources and rows where weights are computed while training.

    Raises:
        RecipeError: a source or a row weighs other than 1.
    """
    for row in rows:
        if row.loss_weight != 1 or KEY in row.prompt.meta:
            what = f"the row {row.prompt.id!r} has a {KEY}, and importance weights stand alone"
            raise RecipeError(what, "data.loss_weights.importance", f"leave `{KEY}` out of sources and rows")


def _answer_tokens(tokenizer: Any, text: str, answer_at: int, tokens: int) -> int:
    """Number of the response's tokens that begin in the answer; a token across the border belongs to the thinking."""
    if getattr(tokenizer, "is_fast", False):
        offsets = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)["offset_mapping"]
        return sum(start >= answer_at for start, _ in offsets[len(offsets) - tokens :])
    before = len(tokenizer(text[:answer_at], add_special_tokens=False)["input_ids"])
    return max(0, min(tokens, len(tokenizer(text, add_special_tokens=False)["input_ids"]) - before))


def _own(row: Demonstration, tokens: int) -> tuple[float, float] | list[float]:
    """The row's own weights: of thinking and answer, or of each token."""
    given = row.prompt.meta.get(KEY, 1.0)
    if isinstance(given, Mapping) and given.keys() <= {"thinking", "answer"}:
        return _number(row, given.get("thinking", 1.0)), _number(row, given.get("answer", 1.0))
    if not isinstance(given, (list, tuple)):
        return _number(row, given), _number(row, given)
    if len(given) != tokens:
        what = f"the row {row.prompt.id!r} has {len(given)} weights, and its response {tokens} tokens"
        raise RecipeError(what, KEY, "count with the tokenizer of the recipe's model, the end of text included")
    return [_number(row, one) for one in given]


def _number(row: Demonstration, given: Any) -> float:
    if isinstance(given, bool) or not isinstance(given, (int, float)) or not math.isfinite(given) or given < 0:
        what = f"the {KEY} of the row {row.prompt.id!r} is {given!r:.60}"
        raise RecipeError(what, KEY, "a number of at least 0, `{thinking: ..., answer: ...}`, or a list of numbers")
    return float(given)
