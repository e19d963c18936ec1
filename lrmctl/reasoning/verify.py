"""Is a final answer right? Grading of the answer segment with math_verify, safe to call from many threads.

Knows nothing of traces: callers pass the answer segment only, never the thinking, and an empty text for a response
that was cut. An expression that could keep the algebra busy for minutes (towers of powers, large factorials, deep
brackets; see `cost`) is graded by its text alone; what still takes too long is ended with its process (see `grader`)
and wrong.
"""

from __future__ import annotations

import re

from lrmctl.reasoning.cost import is_costly
from lrmctl.reasoning.grader import same_value
from lrmctl.reasoning.latex import number, same_text, tidied

_BOX = re.compile(r"\\f?boxed\s*\{|\\fbox\s*\{")
_JOINED = re.compile(r"[\s$]*(?:,|;|\b(?:and|or)\b)(?:\s*(?:and|or)\b)?[\s$]*(?:[A-Za-z]\s*=\s*)?")
"""What stands between boxes that are one answer together."""
LONGEST = 400


def is_correct(answer: str, reference: str) -> bool:
    """True if the answer segment gives the reference answer.

    The last `\\boxed{}` counts, with those that only a comma, "and" or "or" joins to it; without one, math_verify
    looks for a stated final answer in LaTeX ("the final answer is $7$"), but never for a bare number in running text.

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


def last_boxed(text: str) -> str | None:
    """Content of the last complete `\\boxed{...}` or `\\fbox{...}`, braces balanced; None if there is none."""
    found = boxes(text)
    return found[-1][2] if found else None


def boxes(text: str) -> list[tuple[int, int, str]]:
    """Every complete box that stands in no later one: where it begins and ends, and what is in it."""
    starts = {m.end() - 1: m.start() for m in _BOX.finditer(text)}
    opened: list[int] = []
    found: list[tuple[int, int, str]] = []
    for i in re.finditer(r"[{}]", text) if starts else ():  # one pass: a text of thousands of open boxes must not cost
        if i[0] == "{":
            opened.append(i.start())
        elif opened and (last := opened.pop()) in starts and not (found and last < found[-1][0]):
            found.append((starts[last], i.end(), text[last + 1 : i.start()].strip().rstrip(".").strip()))
    return found


def boxed_answer(text: str) -> str | None:
    """The last complete box's content, after that of boxes that only a comma, "and" or "or" joins to it."""
    found = boxes(text)
    parts = found[-1:]
    for earlier in reversed(found[:-1]):
        if not _JOINED.fullmatch(text[earlier[1] : parts[0][0]][:40]):
            break
        parts.insert(0, earlier)
    return ", ".join(dict.fromkeys(part[2] for part in parts)) if parts else None
