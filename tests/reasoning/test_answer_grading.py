"""Which answers are right: the last box counts, forms may differ, and nothing may hang."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from lrmctl.reasoning.verify import is_correct, last_boxed


@pytest.mark.parametrize(
    ("answer", "reference"),
    [
        ("\\boxed{33}", "33"),
        ("\\boxed{033}", "33"),
        ("so \\boxed{33.} Done", "33"),
        ("\\boxed{1,234}", "1234"),
        ("\\boxed{-5}", "-5"),
        ("\\boxed{\\$18.00}", "18"),
        ("\\boxed{12 \\text{ apples}}", "12"),
        ("\\boxed{\\frac{1}{2}}", "0.5"),
        ("\\boxed{0.5}", "\\frac{1}{2}"),
        ("\\boxed{x^2+2x+1}", "(x+1)^2"),
        ("\\boxed{\\sqrt{8}}", "2\\sqrt{2}"),
        ("\\boxed{(1, 2)}", "(1,2)"),
        ("first \\boxed{1}, no: \\boxed{3}", "3"),
        ("The final answer is $7$.", "7"),
        ("\\boxed{2^{99999}}", "2^{99999}"),
    ],
)
def test_right_answers_in_other_forms_are_right(answer, reference):
    assert is_correct(answer, reference)


@pytest.mark.parametrize(
    ("answer", "reference"),
    [
        ("", "4"),
        ("\\boxed{}", "4"),
        ("\\boxed{4", "4"),
        ("4", "4"),
        ("I tried 3 and 4.", "4"),
        ("\\boxed{3}, no: \\boxed{1}", "3"),
        ("\\boxed{3}", "-3"),
        ("\\boxed{0.333}", "\\frac{1}{3}"),
        ("\\boxed{hazard-3}", "3"),
        ("\\boxed{\\text{four}}", "4"),
    ],
)
def test_wrong_missing_and_unboxed_answers_are_wrong(answer, reference):
    assert not is_correct(answer, reference)


COSTLY = (
    "9^{9^{9^{9}}}",
    "9^9^9",
    "x^{2^{2^{2^{2^{2}}}}}",
    "9^{999999999}",
    "10000000!",
    "\\binom{99999999}{555555}",
    "(((1+x)^{9999})^{9999})",
    "(a+b+c)^{300}",
    "\\int_0^1 e^{-x^2} dx",
    "1" * 100_000,
    "{" * 5000 + "}" * 5000,
)


@pytest.mark.parametrize("expression", COSTLY, ids=range(len(COSTLY)))
def test_expressions_that_would_keep_the_algebra_busy_are_wrong_at_once(expression):
    assert not is_correct(f"\\boxed{{{expression}}}", "5")
    assert not is_correct(f"The final answer is ${expression}$", "5")


def test_grading_works_from_many_threads():
    asked = [(f"\\boxed{{\\frac{{{n}}}{{7}}}}", f"{n}/7" if n % 2 else f"{n}/8") for n in range(1, 33)]
    with ThreadPoolExecutor(8) as pool:
        graded = list(pool.map(lambda pair: is_correct(*pair), asked))
    assert graded == [bool(n % 2) for n in range(1, 33)]


def test_the_last_complete_box_is_found_with_its_inner_braces():
    assert last_boxed("\\boxed{1} \\boxed{\\frac{1}{2}}. \\boxed{3") == "\\frac{1}{2}"
    assert last_boxed("no box {4}") is None
