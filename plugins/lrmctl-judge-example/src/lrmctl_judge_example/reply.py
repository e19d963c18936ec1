"""Reads the endpoint's reply strictly: what does not have the documented form is an error, never "not flagged"."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

LONGEST_RAW = 1000
"""Characters of the endpoint's reply that are kept with the verdict."""


class Moderation(NamedTuple):
    """What the endpoint says of one text.

    Attributes:
        score: the largest of its categories' scores, in [0, 1]; no calibrated probability.
        categories: those that it flags.
    """

    flagged: bool
    score: float
    categories: tuple[str, ...]
    raw: str


def read_moderation(body: Any) -> Moderation:
    """The only result of a reply.

    Raises:
        ValueError: the reply has another form.
    """
    try:
        (result,) = body["results"]
        flagged, categories, scores = result["flagged"], result["categories"], result["category_scores"]
    except (KeyError, TypeError, ValueError):
        raise ValueError(f"the reply is no moderation of one text: {_short(body)}") from None
    if not isinstance(flagged, bool) or not isinstance(categories, Mapping):
        raise ValueError(f"the reply does not say whether the text is flagged: {_short(body)}")
    if not isinstance(scores, Mapping) or not scores or not all(map(_is_score, scores.values())):
        raise ValueError(f"the reply has scores that are not in [0, 1]: {_short(body)}")
    named = tuple(sorted(name for name, is_set in categories.items() if is_set is True))
    return Moderation(flagged, max(scores.values()), named, _short(result))


def _is_score(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1


def _short(body: Any) -> str:
    return json.dumps(body)[:LONGEST_RAW]
