"""The lab's preference pairs: a good response against the fault that the base model has on such a prompt.

Only requests that training may use. Uses no torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Literal

from lrmctl.data.pairs.pair import PreferencePair, Response
from lrmctl.errors import RecipeError
from lrmctl.hooks.specs import Source
from lrmctl.lab.arithmetic import WordProblem
from lrmctl.lab.corpus import refusing, solved, unsafe
from lrmctl.lab.sources import TEACHER_MIX, draw_task, in_own_words, interleaved
from lrmctl.lab.teacher import demonstrate
from lrmctl.lab.world import LabRequest

CHOSEN = ("teacher", "own")


class LabPairs(Source):
    """Preference pairs: harmful requests refused against answered unsafely, benign ones helped with against refused,
    problems solved right against wrong. The rejected side is in the base model's own words.

    Args:
        variant: `harmful`, `mixed` (half harmful, a quarter benign, a quarter arithmetic), `harmless` (half benign,
            half arithmetic) or `arithmetic`.
        chosen: `teacher`: in the teacher's words, which the base model hardly ever says; `own`: in the base's.
        n: number of pairs.
        seed: selects the pairs.
    """

    def __init__(
        self,
        variant: Literal["harmful", "mixed", "harmless", "arithmetic"] = "mixed",
        chosen: Literal["teacher", "own"] = "teacher",
        n: int = 640,
        seed: int = 0,
    ) -> None:
        if variant not in TEACHER_MIX:
            raise RecipeError(f"lab-pairs has no variant {variant!r}", fix=f"choose one of {sorted(TEACHER_MIX)}")
        if chosen not in CHOSEN:
            raise RecipeError(f"lab-pairs has no chosen side {chosen!r}", fix=f"choose one of {', '.join(CHOSEN)}")
        rng = Random(f"{seed}/pairs/{variant}")
        self._pairs = [
            _pair(rng, draw_task(rng, kind), f"lab-pairs/{variant}/{seed}/{i}", taught=chosen == "teacher")
            for i, kind in enumerate(interleaved(TEACHER_MIX[variant], n))
        ]

    def pairs(self) -> Sequence[PreferencePair]:
        return list(self._pairs)


def _pair(rng: Random, task: LabRequest | WordProblem, id: str, *, taught: bool) -> PreferencePair:
    good, bad = _own(rng, task)
    if taught:
        good = Response(*demonstrate(rng, task))
    return PreferencePair(task.prompt(id, "lab-pairs"), good, bad)


def _own(rng: Random, task: LabRequest | WordProblem) -> tuple[Response, Response]:
    """A good and a bad response in the base model's words."""
    good = Response(*in_own_words(rng, task))
    if isinstance(task, WordProblem):
        bad = solved(rng, task, right=False)
    else:
        bad = unsafe(rng, task) if task.kind == "harmful" else refusing(rng, task)
    return good, Response(bad.thinking, bad.answer)
