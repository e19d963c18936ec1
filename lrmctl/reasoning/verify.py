"""Is a final answer right? Grading of the answer segment with math_verify, safe to call from many threads.

Knows nothing of traces: callers pass the answer segment only, never the thinking, and an empty text for a response
that was cut. An expression that could keep the algebra busy for minutes (towers of powers, large factorials, deep
brackets) is graded by its text alone; what still takes too long is ended with its process (see `grader`) and wrong.
"""

from __future__ import annotations

import re
from decimal import Decimal
from math import prod

from lrmctl.reasoning.grader import same_value

_NUMBER = re.compile(r"[-+]?(\d{1,3}(,\d{3})+|\d+)(\.\d+)?")
_EXPONENT = re.compile(r"\^\s*\{?\s*[-+]?(\d+)")
_TOWER = re.compile(r"\^\s*(\{[^{}]*)?\d\s*\^")
_SYMBOL = re.compile(r"(?<![\\A-Za-z])[A-Za-z]|\\sqrt")
_COSTLY = re.compile(r"\\(int|sum|prod|binom|lim)|\d{3,}\s*!|!\s*!")
LONGEST = 400
LARGEST_POWER = 3000
LARGEST_SYMBOLIC_POWER = 30
DEEPEST = 10


def is_correct(answer: str, reference: str) -> bool:
    """True if the answer segment gives the reference answer.

    The last `\\boxed{}` counts; without one, math_verify looks for a stated final answer in LaTeX ("the final
    answer is $7$"), but never for a bare number in running text.

    Args:
        answer: the answer segment; the empty text is wrong.
        reference: the gold answer, LaTeX without dollar signs, e.g. `\\frac{1}{2}`.
    """
    boxed = last_boxed(answer)
    if boxed is None:
        tail = answer[-LONGEST:]
        return not _costly(tail) and same_value(tail, reference)
    if _same_text(boxed, reference):
        return True
    numbers = _number(boxed), _number(reference)
    if None not in numbers:
        return numbers[0] == numbers[1]
    if len(boxed) > LONGEST or _costly(boxed) or _costly(reference):
        return False
    return same_value(f"\\boxed{{{boxed}}}", reference)


def last_boxed(text: str) -> str | None:
    """Content of the last complete `\\boxed{...}` or `\\fbox{...}`, braces balanced; None if there is none."""
    boxes = {m.end() - 1 for m in re.finditer(r"\\f?boxed\s*\{|\\fbox\s*\{", text)}
    opened: list[int] = []
    start = end = -1
    for i in re.finditer(r"[{}]", text) if boxes else ():  # one pass: a text of thousands of open boxes must not cost
        if i[0] == "{":
            opened.append(i.start())
        elif opened and (last := opened.pop()) in boxes and last > start:
            start, end = last, i.start()
    return text[start + 1 : end].strip().rstrip(".").strip() if end >= 0 else None


def _same_text(a: str, b: str) -> bool:
    return "".join(a.split()) == "".join(b.split())


def _number(text: str) -> Decimal | None:
    plain = text.strip().strip("$").strip()
    return Decimal(plain.replace(",", "")) if _NUMBER.fullmatch(plain) else None


def _costly(latex: str) -> bool:
    """Could symbolic evaluation of this take minutes? Numbers in exponents are multiplied, as nested powers do."""
    if _TOWER.search(latex) or _COSTLY.search(latex) or _depth(latex) > DEEPEST:
        return True
    limit = LARGEST_SYMBOLIC_POWER if _SYMBOL.search(latex) else LARGEST_POWER
    return prod(int(e[:9]) for e in _EXPONENT.findall(latex)) > limit


def _depth(latex: str) -> int:
    """How deep round and square brackets are nested; the parser's time doubles with each."""
    depth = deepest = 0
    for char in latex:
        depth += (char in "([") - (char in ")]")
        deepest = max(deepest, depth)
    return deepest
