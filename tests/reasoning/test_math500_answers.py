"""Every gold answer of MATH-500, and rewrites that keep its value, against math_verify's own word."""

from __future__ import annotations

import json
import os
import re
from itertools import pairwise
from pathlib import Path

import pytest

from lrmctl.reasoning.cost import is_costly
from lrmctl.reasoning.verify import is_correct

FILE = Path(os.environ.get("LRMCTL_DATA_DIR", "/")) / "math500" / "test.jsonl"


@pytest.fixture(scope="module")
def answers() -> list[str]:
    if not FILE.is_file():
        pytest.skip(f"needs {FILE.name} of MATH-500 under LRMCTL_DATA_DIR")
    rows = [json.loads(line) for line in FILE.read_text(encoding="utf-8").splitlines()]
    assert len(rows) == 500
    return sorted({row["answer"] for row in rows})


def rewrites(answer: str) -> set[str]:
    """The same value, written as a model might."""
    written = {
        f"{answer}.",
        f"${answer}$",
        f" {answer} ,",
        f"\\displaystyle {answer}",
        answer.replace("\\frac", "\\dfrac"),
        answer.replace("\\dfrac", "\\tfrac"),
        answer.replace("\\left", "").replace("\\right", ""),
        answer.replace("\\pi", "\u03c0").replace("\\infty", "\u221e").replace("^\\circ", "\u00b0"),
        answer.replace("-", "\u2212"),
        re.sub(r"(?<=[+=])(?=\S)", " ", answer),
    }
    if re.fullmatch(r"\d+", answer):
        written |= {f"{int(answer):,}", f"{answer}\\text{{ cm}}", f"{answer}.0", f"x = {answer}", f"\\text{{{answer}}}"}
    if re.fullmatch(r"[-+ 0-9a-z^{}]+", answer) and re.search(r"[a-z]", answer) and re.search(r"[-+]", answer[1:]):
        terms = re.findall(r"[-+]?[^-+]+", answer.replace(" ", ""))  # a polynomial, its last term first
        written.add("".join(t if t[0] in "-+" else f"+{t}" for t in reversed(terms)).lstrip("+"))
    return written - {answer}


def test_no_gold_answer_is_taken_for_costly(answers: list[str]) -> None:
    assert [answer for answer in answers if is_costly(answer)] == []


def test_each_gold_answer_is_right_and_so_are_its_rewrites(answers: list[str]) -> None:
    pairs = [(written, gold) for gold in answers for written in [gold, *sorted(rewrites(gold))]]
    assert len(pairs) > 1500
    assert [pair for pair in pairs if not is_correct(f"So it is $\\boxed{{{pair[0]}}}$.", pair[1])] == []


def test_what_math_verify_finds_equal_or_not_is_found_so_here(answers: list[str]) -> None:
    """Neighbours in order: many are alike, and few are equal."""
    from lrmctl.reasoning.grader_process import same_value

    pairs = list(pairwise(answers))[::3]
    theirs = [same_value(f"\\boxed{{{a}}}", b) for a, b in pairs]
    assert [is_correct(f"\\boxed{{{a}}}", b) for a, b in pairs] == theirs
