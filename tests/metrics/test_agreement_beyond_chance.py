"""Krippendorff's alpha against the examples of his own paper, and its interval."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lrmctl.stats import krippendorff_alpha

# Krippendorff, "Computing Krippendorff's Alpha-Reliability" (2011), sections A, B and C
TWO_BINARY = ["0100000010", "1110010000"]
TWO_NOMINAL = ["aabbdcccedda", "babbbccceddd"]
FOUR_MISSING = ["123321412...", "1233224125.3", ".3332342251.", "12332441251."]


def units(observers: list[str]) -> list[list[str]]:
    return [[value for value in column if value != "."] for column in zip(*observers, strict=True)]


@pytest.mark.parametrize(("observers", "alpha"), [(TWO_BINARY, 0.095), (TWO_NOMINAL, 0.692), (FOUR_MISSING, 0.743)])
def test_the_published_examples(observers, alpha):
    assert krippendorff_alpha(units(observers)).value == pytest.approx(alpha, abs=5e-4)


def test_a_unit_with_one_value_says_nothing():
    more = [*units(TWO_BINARY), ["1"], [], ["0"]]
    assert krippendorff_alpha(more) == krippendorff_alpha(units(TWO_BINARY))
    assert krippendorff_alpha(more).units == 10


def test_nothing_to_compare_and_nothing_that_varies_have_no_alpha():
    assert krippendorff_alpha([]) == (None, None, None, 0, 0)
    assert krippendorff_alpha([["a"], []]) == (None, None, None, 0, 0)
    assert krippendorff_alpha([["a", "a"]] * 5) == (None, None, None, 5, 0)


def test_full_agreement_is_one_without_an_interval():
    assert krippendorff_alpha([["a", "a"], ["b", "b"], ["a", "a"]]) == (1.0, None, None, 3, 0)


def test_the_interval_holds_the_value_and_is_wider_where_samples_of_a_prompt_agree():
    rng = random.Random(3)
    rows = [(truth := rng.random() < 0.5, truth if rng.random() < 0.8 else not truth) for _ in range(200)]
    alone = krippendorff_alpha(rows)
    assert alone.low < alone.value < alone.high
    copies = [row for row in rows for _ in range(4)]
    pooled, clustered = krippendorff_alpha(copies), krippendorff_alpha(copies, [i // 4 for i in range(800)])
    assert clustered.high - clustered.low > 1.5 * (pooled.high - pooled.low)
    assert krippendorff_alpha(rows) == alone


@settings(max_examples=50, deadline=None, database=None)
@given(st.lists(st.lists(st.sampled_from("ab"), max_size=4), max_size=12), st.randoms(use_true_random=False))
def test_neither_order_nor_names_matter(rows, rng):
    found = krippendorff_alpha(rows)
    assert found.value is None or found.value <= 1.0
    shuffled = [rng.sample(row, len(row)) for row in rng.sample(rows, len(rows))]
    renamed = [[{"a": 7, "b": 3}[value] for value in row] for row in shuffled]
    assert krippendorff_alpha(renamed).value == pytest.approx(found.value)
    assert krippendorff_alpha(renamed)[3:] == found[3:]
