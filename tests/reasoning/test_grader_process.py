"""Grading that would take for ever, from threads, in a process that is ended."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from lrmctl.reasoning.grader_process import Grader
from lrmctl.reasoning.verify import is_correct

ENDLESS = r"\boxed{(\sqrt{2}+\sqrt{3}+\sqrt{5}+\sqrt{7}+\sqrt{11})^{300}}"


def test_math_verifys_own_time_limit_cannot_be_used_in_a_thread():
    """The reason for the process: its limit is an alarm signal, which only the main thread may set."""
    from math_verify import parse

    found: list[BaseException | str] = []

    def ask() -> None:
        try:
            parse(r"\boxed{\frac{1}{2}}", parsing_timeout=5)
            found.append("parsed")
        except BaseException as error:
            found.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    thread.join()
    assert isinstance(found[0], ValueError)
    assert "signal" in str(found[0])


@pytest.mark.e2e
@pytest.mark.timeout(300)
def test_an_expression_that_never_ends_is_ended_and_the_next_one_is_graded():
    grader = Grader()
    assert grader.same(r"\boxed{\frac{2}{4}}", r"\frac{1}{2}") is True
    assert grader.same(ENDLESS, r"\sqrt{2}+\sqrt{3}") is None
    assert grader.ended == 1
    assert grader.same(r"\boxed{0.5}", r"\frac{1}{2}") is True
    assert grader.same(r"\boxed{0.6}", r"\frac{1}{2}") is False


def test_many_threads_each_get_the_word_on_their_own_answer():
    with ThreadPoolExecutor(8) as pool:
        said = list(pool.map(lambda n: is_correct(rf"\boxed{{\frac{{{n}}}{{7}}}}", r"\frac{3}{7}"), range(16)))
    assert said == [n == 3 for n in range(16)]


@pytest.mark.parametrize("answer", [r"\boxed{" + "(" * 60 + "x" + ")" * 60 + "}", ENDLESS, r"\boxed{((((((((((((1"])
def test_a_policy_cannot_make_grading_slow(answer, monkeypatch):
    def ask(*_: str) -> bool:
        raise AssertionError("the algebra was asked")

    monkeypatch.setattr("lrmctl.reasoning.verify.same_value", ask)
    assert is_correct(answer, r"\frac{1}{3}") is False


def test_odd_text_is_wrong_and_does_not_break_the_pipe():
    for text in ("\ud800", "\x00", "\n\n", "\u2028\\boxed{\\frac{1}{}}\n[1]"):
        assert is_correct(f"\\boxed{{{text}+1}}", "\\frac{1}{3}") is False
    assert is_correct(r"\boxed{\frac{2}{6}}", r"\frac{1}{3}") is True


def test_a_forked_process_grades_with_a_child_of_its_own():
    import multiprocessing

    assert is_correct(r"\boxed{\frac{2}{6}}", r"\frac{1}{3}")
    with multiprocessing.get_context("fork").Pool(2) as pool:
        assert pool.starmap(is_correct, [(r"\boxed{\frac{3}{9}}", r"\frac{1}{3}")] * 4) == [True] * 4
