"""Grades final answers with math_verify on the answer segment; thread-safe.

Knows nothing of traces: callers pass the answer segment only, never the thinking, and empty text for a truncated
response. An expression that could keep the algebra busy for minutes (towers of powers, large factorials, deep brackets;
see `cost`) is graded by its text alone; one that still takes too long is killed with its process (see `grader_process`)
and counts as wrong.
"""

from __future__ import annotations

from lrmctl._util.boxed import boxed_answer
from lrmctl.reasoning.cost import is_costly
from lrmctl.reasoning.grader_process import same_value
from lrmctl.reasoning.latex import number, same_text, tidied

LONGEST = 400


def is_correct(answer: str, reference: str) -> bool:
    """True if the answer segment gives the reference answer.

    The last `\boxed{}` counts, with those joined to it only by a comma, "and" or "or"; without one, math_verify looks
    for a final answer stated in LaTeX ("the final answer is $7$"), but never for a bare number in running text.

    Args:
        answer: the answer segment; the empty text is wrong.
        reference: the gold answer, LaTeX without dollar signs, e.g. `\\frac{1}{2}`.
    """
    boxed = boxed_answer(answer)
    gold = tidied(reference)
    if boxed is None:
        tail = answer[-LONGEST:]
        return not is_costly(tail) and not is_costly(gold) and same_value(tail, gold)
    if same_text(boxed, reference):
        return True
    said = tidied(boxed)
    if same_text(said, gold):
        return True
    numbers = number(said), number(gold)
    if None not in numbers:
        return numbers[0] == numbers[1]
    if len(said) > LONGEST or is_costly(said) or is_costly(gold):
        return False
    return same_value(f"\\boxed{{{said}}}", gold)
