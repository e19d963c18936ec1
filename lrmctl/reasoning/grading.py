"""How final answers in mathematics are graded: by math_verify, the answer segment only."""

from __future__ import annotations

import re
from importlib.metadata import version

from lrmctl.reasoning.base import GradedTrace, graded
from lrmctl.types import Trace

MATH_VERIFY = ("math_verify", version("math-verify"))
_STATED = re.compile(r"answer\s+is:?\s*\$([^$]{1,200})\$", re.IGNORECASE)


def grade_mathematics(trace: Trace) -> GradedTrace:
    """The last box counts, else a final answer that is stated as such in LaTeX."""
    from lrmctl.reasoning.verify import is_correct

    reference = trace.prompt.reference or ""
    return graded(trace, lambda answer: GradedTrace(is_correct(answer, reference), final_answer(answer)))


def grade_integer(trace: Trace) -> GradedTrace:
    """As `grade_mathematics`; of a right answer only the number is kept, so that 033 and 33 are one vote."""
    said = grade_mathematics(trace)
    return GradedTrace(True, str(int(trace.prompt.reference or ""))) if said.correct else said


def final_answer(answer: str) -> str | None:
    """The final answer as it is written; None where none is stated."""
    from lrmctl._util.boxed import last_boxed

    boxed = last_boxed(answer)
    if boxed is not None:
        return boxed or None
    stated = _STATED.findall(answer)
    return stated[-1].strip() or None if stated else None
