"""Length rewards: a target range with linear falloff, and DAPO's overlong punishment."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

from lrmctl._util.words import words_of
from lrmctl.errors import RecipeError
from lrmctl.hooks.specs import Reward
from lrmctl.rewards.builtin.format import FormatRules, Thinking
from lrmctl.rewards.builtin.options import number, one_of, whole_number
from lrmctl.types import Part, Score, Trace

Unit = Literal["auto", "tokens", "words"]


def part_length(trace: Trace, part: Part, unit: str = "auto") -> int | None:
    """Length of a part; None if it is to be measured in tokens and they were not counted.

    Args:
        unit: `tokens` of the model; `words` (each Chinese or Japanese character counts as a word); `auto`: tokens if
            they were counted, else words.
    """
    texts = {"thinking": (trace.thinking,), "answer": (trace.answer,)}.get(part, (trace.thinking, trace.answer))
    tokens = {"thinking": trace.thinking_tokens, "answer": trace.answer_tokens}
    counts = [tokens[part]] if part in tokens else list(tokens.values())
    counted = None if None in counts else sum(count or 0 for count in counts)
    if counted is None and not any(texts):
        counted = 0
    if unit == "words" or (unit == "auto" and counted is None):
        return sum(len(words_of(text)) for text in texts)
    return counted


class Length(Reward):
    """A target range for the length of a part, with linear falloff on both sides.

    Formula, with n the length: 1 for low <= n <= high; max(0, 1 - (low - n) / falloff) below;
    max(0, 1 - (n - high) / falloff) above. Bad form (cut, empty, unclosed) is 0. The thinking of a model that does not
    think gets no score.
    Range: [0, 1].
    Source: ours; the sentence targets of RAPO's risk reward have the same shape without the falloff.

    Args:
        low, high: the range; without `high` there is no upper end.
        falloff: distance from the range at which the value is 0.
        unit: `tokens`, `words`, or `auto`: tokens if they were counted, as in training and in evaluation, else words.
        thinking: `required`, `optional` or `absent`: the thinking that good form wants.
    """

    range = (0.0, 1.0)

    def __init__(
        self,
        low: float = 0,
        high: float | None = None,
        falloff: float = 100,
        unit: Unit = "auto",
        thinking: Thinking = "required",
    ) -> None:
        self._low = number("low", low, low=0)
        self._high = float("inf") if high is None else number("high", high, low=0)
        self._falloff, self._unit = number("falloff", falloff, low=1), one_of("unit", unit, get_args(Unit))
        self._form = FormatRules(thinking)
        if self._low > self._high:
            raise RecipeError(f"`low` ({low:g}) lies above `high` ({high:g})")

    def score(self, traces: Sequence[Trace], part: Part) -> list[Score]:
        return [self._score(trace, part) for trace in traces]

    def _score(self, trace: Trace, part: Part) -> Score:
        if part == "thinking" and trace.answer_only:
            return Score()
        if not self._form.holds(trace, part):
            return Score(0.0)
        n = part_length(trace, part, self._unit)
        if n is None:
            return Score(error=_NOT_COUNTED)
        outside = max(self._low - n, n - self._high, 0.0)
        return Score(max(0.0, 1.0 - outside / self._falloff))


class Overlong(Reward):
    """DAPO's soft overlong punishment.

    Formula, with n the length of the part, L = max_length and c = cache: 0 for n <= L - c; ((L - c) - n) / c for
    L - c < n <= L; -1 for n > L. A response that was cut is -1, whatever its length.
    Range: [-1, 0].
    Source: DAPO (arXiv 2503.14476), equation 13.

    Args:
        max_length: L, in the unit that is counted.
        cache: c, the length over which the penalty grows.
        unit: `tokens`, `words`, or `auto`: tokens if they were counted, as in training and in evaluation, else words.
    """

    range = (-1.0, 0.0)

    def __init__(self, max_length: int, cache: int, unit: Unit = "auto") -> None:
        self._max, self._cache = whole_number("max_length", max_length), whole_number("cache", cache)
        self._unit = one_of("unit", unit, get_args(Unit))
        if self._cache > self._max:
            raise RecipeError(f"`cache` ({cache}) is more than `max_length` ({max_length})")

    def score(self, traces: Sequence[Trace], part: Part) -> list[Score]:
        return [self._score(trace, part) for trace in traces]

    def _score(self, trace: Trace, part: Part) -> Score:
        if trace.finish_reason == "length":
            return Score(-1.0)
        n = part_length(trace, part, self._unit)
        if n is None:
            return Score(error=_NOT_COUNTED)
        free = self._max - self._cache
        return Score(-1.0 if n > self._max else min(0.0, (free - n) / self._cache))


_NOT_COUNTED = "the tokens of this response were not counted; say `unit: words`"
