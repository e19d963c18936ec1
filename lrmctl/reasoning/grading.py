"""Grades final answers in mathematics with math_verify, on the answer segment only."""

from __future__ import annotations

import re
from importlib.metadata import version

from lrmctl.reasoning.base import GradedTrace, graded
from lrmctl.types import Trace

MATH_VERIFY = ("math_verify", version("math-verify"))
_STATED = re.compile(r"answer\s+is:?\s*\$([^$]{1,200})\$", re.IGNORECASE)


def grade_mathematics(trace: Trace) -> GradedTrace:
    """Grade the last box, else a final answer stated in LaTeX."""
    from lrmctl.reasoning.verify import is_correct

    reference = trace.prompt.reference or ""
    return graded(trace, lambda answer: GradedTrace(is_correct(answer, reference), final_answer(answer)))


def grade_integer(trace: Trace) -> GradedTrace:
    """As `grade_mathematics`; of a right answer only the number is kept, so that 033 and 33 count as one vote."""
    said = grade_mathematics(trace)
    return GradedTrace(True, str(int(trace.prompt.reference or ""))) if said.correct else said


def final_answer(answer: str) -> str | None:
    """The final answer as written; None if none is stated."""
    from lrmctl._util.boxed import last_boxed

    boxed = last_boxed(answer)
    if boxed is not None:
        return boxed or None
    stated = _STATED.findall(answer)
    return stated[-1].strip() or None if stated else None
