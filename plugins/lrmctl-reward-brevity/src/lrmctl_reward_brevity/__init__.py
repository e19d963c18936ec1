"""A reward for lrmctl: 1 for a short text, falling to 0 at a length. All that a reward plugin needs is in this file."""

from __future__ import annotations

from collections.abc import Sequence

from lrmctl import Part, Score, Trace, hookimpl
from lrmctl.hooks import Register

lrmctl_api = 1


class Brevity:
    """1 for an empty text, 0 from `words` words on, linear in between; nothing where there is no such part.

    Use it with a small weight beside rewards that say what a good answer is: on its own, silence wins.

    Args:
        words: length at which the score reaches 0.
    """

    def __init__(self, words: int = 400) -> None:
        if words < 1:
            raise ValueError(f"words must be at least 1, not {words}")
        self._words = words

    def score(self, traces: Sequence[Trace], part: Part) -> list[Score]:
        return [self._score(_text(trace, part)) for trace in traces]

    def _score(self, text: str) -> Score:
        length = len(text.split())
        return Score(max(0.0, 1.0 - length / self._words)) if length else Score()


def _text(trace: Trace, part: Part) -> str:
    return {"thinking": trace.thinking, "answer": trace.answer, "whole": f"{trace.thinking} {trace.answer}"}[part]


@hookimpl
def lrmctl_rewards(register: Register) -> None:
    register("brevity", Brevity, summary="1 for a short text, falling to 0 at `words` words")
