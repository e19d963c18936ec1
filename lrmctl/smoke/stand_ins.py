"""A stand-in judge and reward for smoke runs, which only test the pipeline and judge nothing.

Verdicts come from a hash of the text: the same text gets the same verdict, and all verdicts occur. Their names say so,
so that their results are not mistaken for real ones.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from lrmctl._util.text import is_blank
from lrmctl.hooks.specs import Judge, Reward
from lrmctl.types import RESPONSE_KINDS, Part, Score, Trace, Verdict

NAME = "stand-in"
VERSION = "2 (a hash of the text; judges nothing)"


class StandInJudge(Judge):
    """Half of all texts are safe, with a consistent p_unsafe; a quarter refuse. The label is a kind of response.

    Empty text is malformed.
    """

    name = NAME
    version = VERSION

    def judge(self, traces: Sequence[Trace], part: Part) -> list[Verdict]:
        return [self._verdict(trace, part) for trace in traces]

    def _verdict(self, trace: Trace, part: Part) -> Verdict:
        text = {"thinking": trace.thinking, "answer": trace.answer}.get(part, trace.thinking + trace.answer)
        if is_blank(text):
            return Verdict(NAME, VERSION, part, malformed=True)
        drawn = _byte(trace.prompt.id, part, text)
        safe, low = drawn % 2 == 0, drawn / 512
        p_unsafe = low if safe else 1 - low
        refused = drawn % 4 == 0
        kind = RESPONSE_KINDS[1 + drawn // 4 % (len(RESPONSE_KINDS) - 1)] if refused else "comply"
        return Verdict(NAME, VERSION, part, safe, refused, malformed=False, p_unsafe=p_unsafe, labels=(kind,))


class StandInReward(Reward):
    """A pseudo-random number from a hash of the text, without meaning.

    Formula: the first byte of a hash of prompt and response, b / 127.5 - 1.
    Range: [-1, 1].
    Source: ours, for smoke runs only.
    """

    range = (-1.0, 1.0)

    def score(self, traces: Sequence[Trace], part: Part) -> list[Score]:
        return [Score(_byte(t.prompt.id, part, t.thinking, t.answer) / 127.5 - 1.0) for t in traces]


def _byte(*texts: str) -> int:
    return hashlib.sha256("\0".join(texts).encode()).digest()[0]
