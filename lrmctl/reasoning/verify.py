"""Is a final answer right? Grading of the answer segment with math_verify, safe to call from many threads.

Knows nothing of traces: callers pass the answer segment only, never the thinking, and an empty text for a response
that was cut. math_verify's own time limits use signals, which work in the main thread only, so they are off; an
expression that could keep the algebra busy for minutes (towers of powers, large factorials, integrals) is graded
by its text alone.
"""

from __future__ import annotations

import logging
import re
import threading
from decimal import Decimal
from functools import lru_cache
from math import prod
from typing import Any

_NUMBER = re.compile(r"[-+]?(\d{1,3}(,\d{3})+|\d+)(\.\d+)?")
_EXPONENT = re.compile(r"\^\s*\{?\s*[-+]?(\d+)")
_TOWER = re.compile(r"\^\s*(\{[^{}]*)?\d\s*\^")
_SYMBOL = re.compile(r"(?<![\\A-Za-z])[A-Za-z]")
_COSTLY = re.compile(r"\\(int|sum|prod|binom|lim)|\d{3,}\s*!|!\s*!")
LONGEST = 400
LARGEST_POWER = 3000
LARGEST_SYMBOLIC_POWER = 30
_lock = threading.Lock()


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
        return not _costly(tail) and _verify(tail, reference)
    if _same_text(boxed, reference):
        return True
    numbers = _number(boxed), _number(reference)
    if None not in numbers:
        return numbers[0] == numbers[1]
    if len(boxed) > LONGEST or _costly(boxed) or _costly(reference):
        return False
    return _verify(f"\\boxed{{{boxed}}}", reference)


def last_boxed(text: str) -> str | None:
    """Content of the last complete `\\boxed{...}` or `\\fbox{...}`, braces balanced; None if there is none."""
    for start in reversed([m.end() for m in re.finditer(r"\\f?boxed\s*\{|\\fbox\s*\{", text)]):
        depth = 1
        for i in range(start, len(text)):
            depth += (text[i] == "{") - (text[i] == "}")
            if depth == 0:
                return text[start:i].strip().rstrip(".").strip()
    return None


def _same_text(a: str, b: str) -> bool:
    return "".join(a.split()) == "".join(b.split())


def _number(text: str) -> Decimal | None:
    plain = text.strip().strip("$").strip()
    return Decimal(plain.replace(",", "")) if _NUMBER.fullmatch(plain) else None


def _costly(latex: str) -> bool:
    """Could symbolic evaluation of this take minutes? Numbers in exponents are multiplied, as nested powers do."""
    if _TOWER.search(latex) or _COSTLY.search(latex):
        return True
    limit = LARGEST_SYMBOLIC_POWER if _SYMBOL.search(latex) else LARGEST_POWER
    return prod(int(e[:9]) for e in _EXPONENT.findall(latex)) > limit


def _verify(answer: str, reference: str) -> bool:
    """math_verify's word. One at a time: sympy's caches and the parser are not promised to be thread-safe."""
    parse, config, verify = _math_verify()
    with _lock:
        predicted = parse(answer, extraction_config=[config], parsing_timeout=None)
        return bool(predicted) and bool(verify(list(_gold(reference)), predicted, timeout_seconds=None))


@lru_cache(maxsize=4096)
def _gold(reference: str) -> tuple[Any, ...]:
    """The parsed reference, which needs no words such as "final answer" around it."""
    parse, _, _ = _math_verify()
    return tuple(parse(f"${reference.strip().strip('$')}$", parsing_timeout=None))


@lru_cache(maxsize=1)
def _math_verify() -> tuple[Any, Any, Any]:
    """Its parser, what we let it extract from answers, and its comparison."""
    from math_verify import LatexExtractionConfig, parse, verify

    for module in ("math_verify.parser", "math_verify.grader"):  # both warn, once, that their time limits are off
        logging.getLogger(module).setLevel(logging.ERROR)
    return parse, LatexExtractionConfig(boxed_match_priority=0, try_extract_without_anchor=False), verify
