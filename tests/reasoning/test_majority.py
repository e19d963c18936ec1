"""The majority's answer over samples: equal answers are one vote, ties share, silence has no vote."""

from __future__ import annotations

import math
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lrmctl.metrics.at_k import maj_at_k, same_answer


def one(extracted: list[str | None], correct: list[bool | None]) -> float:
    (found,) = maj_at_k([extracted], [correct])
    return float(found)


def test_the_most_frequent_answer_decides() -> None:
    assert one(["7", "7", "8"], [True, True, False]) == 1
    assert one(["7", "8", "8"], [True, False, False]) == 0


def test_answers_that_are_equal_are_one_vote_however_they_are_written() -> None:
    assert one([r"\frac{1}{2}", "0.5", "3", "3"], [True, True, False, False]) == 0.5
    assert one([r"\frac{1}{2}", "0.5", r"\dfrac12", "3", "3"], [True] * 3 + [False] * 2) == 1
    assert one(["033", "33", "5"], [True, True, False]) == 1
    assert one(["1,234", "1234", "5", "5", "5"], [True, True, False, False, False]) == 0


def test_ties_share_whatever_the_order_of_the_samples() -> None:
    votes = [("7", True), ("8", False), ("7", True), ("8", False), ("9", False)]
    found = {one([a for a, _ in p], [c for _, c in p]) for p in permutations(votes)}
    assert found == {0.5}


def test_samples_without_an_answer_have_no_vote() -> None:
    assert one([None, None, None, "7"], [False, False, False, True]) == 1
    assert one([None, None], [False, False]) == 0


def test_failed_samples_do_not_count_at_all() -> None:
    assert one(["8", "8", "7"], [None, None, True]) == 1
    assert math.isnan(one([None, None], [None, None]))


def test_one_number_per_prompt() -> None:
    found = maj_at_k([["1", "1"], ["2", "3"], [None, None]], [[True, True], [True, False], [None, None]])
    assert found.shape == (3,)
    assert found.dtype == np.float64
    assert found[:2].tolist() == [1.0, 0.5]


@given(st.lists(st.sampled_from(["1", "2", "3", None]), min_size=1, max_size=8), st.sampled_from(["1", "2", "3"]))
def test_it_is_the_mean_over_the_modes(answers: list[str | None], gold: str) -> None:
    given_answers = [a for a in answers if a is not None]
    expected = 0.0
    if given_answers:
        most = max(given_answers.count(a) for a in given_answers)
        modes = {a for a in given_answers if given_answers.count(a) == most}
        expected = (gold in modes) / len(modes)
    assert one(answers, [a == gold for a in answers]) == pytest.approx(expected)


def test_one_sample_is_its_own_majority() -> None:
    assert maj_at_k([["1"], ["2"], [None]], [[True], [False], [False]]).tolist() == [1.0, 0.0, 0.0]


@pytest.mark.parametrize(("a", "b"), [("A", "B"), ("7", "8"), ("x", "y"), (r"\frac12", r"\frac13"), ("(1,2)", "(2,1)")])
def test_different_answers_are_two(a: str, b: str) -> None:
    assert not same_answer(a, b)


@pytest.mark.parametrize(
    ("a", "b"), [("$x^2$", "x^2"), ("7.", "7"), (r"\sqrt{8}", r"2\sqrt{2}"), ("x+1", "1+x"), ("(1, 2)", "(1,2)")]
)
def test_equal_answers_are_one(a: str, b: str) -> None:
    assert same_answer(a, b)
    assert same_answer(b, a)
