"""Where reflections stand, and which of them change the course of a thought; values worked out by hand."""

from __future__ import annotations

from itertools import pairwise

import pytest

from lrmctl.analysis.positions import profile
from lrmctl.lexicons import Lexicon

LIST = Lexicon("l", "1", ("wait", "hmm"), "test")


def of(text: str):
    return profile(text, list(LIST.hits(text)))


def test_a_thought_without_reflection_has_none() -> None:
    assert of("two and two are four") == (0, None, (), (0,) * 10, ())
    assert of("") == (0, None, (), (0,) * 10, ())


def test_positions_are_shares_of_the_length() -> None:
    found = of("a" * 19 + " wait" + "b" * 0 + " " + "c" * 74)  # 99 characters; the hit begins at 20
    assert found.first == pytest.approx(20 / 99)
    assert found.bins == (0, 0, 1, 0, 0, 0, 0, 0, 0, 0)


def test_gaps_lie_between_neighbours() -> None:
    text = "wait " + "x" * 15 + " hmm " + "y" * 20 + " wait now"
    found = of(text)
    places = [text.index("wait"), text.index("hmm"), text.rindex("wait")]
    assert found.gaps == pytest.approx([(b - a) / len(text) for a, b in pairwise(places)])
    assert sum(found.bins) == found.hits == 3


def test_saying_the_same_again_is_no_depth() -> None:
    said = "take the blue key and open the door"
    assert of(f"{said}. Wait, {said}.").novelty == (0.0,)
    assert of(f"{said}. Wait, {said}.").depth == 0


def test_going_on_to_something_new_is_depth() -> None:
    found = of("take the blue key. Wait, the guard has the red one instead. Hmm, take the blue key.")
    assert found.novelty == (1.0, 0.0)
    assert found.depth == 1


def test_a_reflection_that_little_follows_says_nothing() -> None:
    found = of("take it. Wait. Hmm, no.")
    assert found.novelty == (None, None)
    assert found.depth == 0


def test_half_new_counts_and_less_does_not() -> None:
    base = "a b c d e f"
    assert of(f"{base} wait a b c x y").novelty == (pytest.approx(2 / 3),)  # abc known; bcx, cxy new
    assert of(f"{base} wait a b c d x").novelty == (pytest.approx(1 / 3),)
    assert of(f"{base} wait a b c d x").depth == 0


def test_a_long_thought_is_linear_work() -> None:
    text = "so wait this goes on " * 20_000
    assert of(text).hits == 20_000
