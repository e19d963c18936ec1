"""Which answers are right: the last box counts, forms may differ, and nothing may hang."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from lrmctl._util.boxed import last_boxed
from lrmctl.reasoning.cost import is_costly
from lrmctl.reasoning.verify import LONGEST, is_correct


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
        ("\\boxed{-1+x-x^2+x^3-x^4+x^5}", "x^5 - x^4 + x^3 - x^2 + x - 1"),
        ("\\boxed{\\frac{a^4b^5}{c^2}}", "\\dfrac{a^4 b^5}{c^2}"),
        ("\\boxed{2^{2^3}}", "256"),
        ("\\boxed{\\binom{31}{4}}", "31465"),
        ("\\boxed{(x-1)(x+1)(x^2+1)(x^4+1)(x^8+1)(x^{16}+1)}", "x^{32}-1"),
        ("\\boxed{(a+b)^{20}(a+b)^{20}}", "(a+b)^{40}"),
    ],
)
def test_right_answers_in_other_forms_are_right(answer, reference):
    assert is_correct(answer, reference)


@pytest.mark.parametrize(
    ("boxed", "reference"),
    [
        ("90\u00b0", "90^\\circ"),
        ("\\frac{\u03c0}{2}", "\\frac{\\pi}{2}"),
        ("\u221a2", "\\sqrt{2}"),
        ("2\u2075", "32"),
        ("x\u207b\u00b2", "\\frac{1}{x^2}"),
        ("\u00bd", "\\frac{1}{2}"),
        ("2\u00be", "\\frac{11}{4}"),
        ("\u20135", "-5"),
        ("\uff11\uff12", "12"),
        ("5,", "5"),
        ("5;", "5"),
        ("5\\\\", "5"),
        ("\\color{red}{5}", "5"),
        ("\\approx 3.14", "3.14"),
        ("1\\,234\\,567", "1234567"),
        ("1 234", "1234"),
        ("1{,}234", "1,234"),
        ("1'234", "1234"),
        ("2 1/3", "\\frac{7}{3}"),
        ("2\\frac13", "\\frac{7}{3}"),
        ("1.2e3", "1200"),
        ("18.90 dollars", "\\$18.90"),
        ("\u20ac5", "5"),
        ("10 km/h", "10"),
        ("\\text{10 cm}", "10 \\text{ cm}"),
        ("2 million", "2,000,000"),
        ("5^{\\text{th}}", "5"),
        ("\\varnothing", "\\emptyset"),
        ("50\\%", "50"),
        ("\\text{Evelyn}", "Evelyn"),
        ("[0,1)\\cup(2,\u221e)", "(2,\\infty)\\cup[0,1)"),
        ("3,2,1", "\\{1,2,3\\}"),
        ("\\begin{bmatrix}1&2\\\\3&4\\end{bmatrix}", "\\begin{pmatrix} 1 & 2 \\\\ 3 & 4 \\end{pmatrix}"),
        ("\\text{so }\\boxed{5}", "5"),
    ],
)
def test_the_same_value_in_other_characters_or_with_a_unit_is_right(boxed, reference):
    assert is_correct(f"\\boxed{{{boxed}}}", reference)


@pytest.mark.parametrize(
    ("boxed", "reference"),
    [
        ("2 1/3", "21/3"),
        ("1 2", "12"),
        ("3 or 4", "3"),
        ("2\\text{ million}", "2"),
        ("12 dozen", "12"),
        ("10\u00b2", "102"),
        ("5!", "5"),
        ("5xy^2", "5"),
        ("5", "5x"),
        ("[0,1)", "[0,1]"),
        ("(3,4)", "(4,3)"),
        ("1,2", "1,2,3"),
        ("x^{2}y", "x^{2y}"),
        ("\\begin{pmatrix}1&2\\\\3&5\\end{pmatrix}", "\\begin{pmatrix}1&2\\\\3&4\\end{pmatrix}"),
    ],
)
def test_another_value_that_looks_alike_is_wrong(boxed, reference):
    assert not is_correct(f"\\boxed{{{boxed}}}", reference)


def test_boxes_that_a_comma_or_a_word_joins_are_one_answer():
    for joined in ("\\boxed{1}, \\boxed{2}", "$x=\\boxed{1}$ or $x=\\boxed{2}$", "\\boxed{2} and \\boxed{1}"):
        assert is_correct(joined, "1,2")
        assert not is_correct(joined, "2")
    assert is_correct("\\boxed{1}. No, it is \\boxed{2}", "2")
    assert is_correct("\\boxed{5}, \\boxed{5}", "5")


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
    "9^{99\\cdot 99\\cdot 99}",
    "9^\\frac{99999999}{1}",
    "10^{-999999999}",
    "\\left(10^9\\right)^{10^9}",
    "(10!)!",
    "2^{10!}",
    "2^{\\binom{99}{50}}",
    "e^{9^{9^9}}",
    "(x^{1000})^{1000}",
    "\\frac{x^{2999}-1}{x-1}",
    "(x+1)^{50}(y+1)^{50}(z+1)^{50}",
    "(\\sqrt{2}+\\sqrt{3}+\\sqrt{5}+\\sqrt{7})^{300}",
    "\\begin{pmatrix}1&2\\\\3&4\\end{pmatrix}^{999999}",
    "{9^9}^{9^9}",
    "\\sqrt[9^{9^9}]{2}",
    "1" * 100_000,
    "{" * 5000 + "}" * 5000,
)


@pytest.mark.parametrize("expression", COSTLY, ids=range(len(COSTLY)))
def test_expressions_that_would_keep_the_algebra_busy_are_wrong_at_once(expression):
    assert is_costly(expression) or len(expression) > LONGEST, "it would be asked for"
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
