"""Intervals and paired tests against values known from elsewhere, and on data that tell little."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lrmctl.stats import interval, paired_delta, prompt_means


def ones(successes: int, n: int) -> np.ndarray:
    return np.array([1.0] * successes + [0.0] * (n - successes))


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    # Newcombe (1998), Statistics in Medicine 17, table I, method 3 (Wilson)
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_one_sample_a_prompt_gives_the_wilson_interval(successes: int, n: int, low: float, high: float) -> None:
    assert interval(ones(successes, n), 1) == pytest.approx((low, high), abs=5e-5)


def test_wilson_agrees_with_scipys_binomtest() -> None:
    from scipy.stats import binomtest

    expected = binomtest(37, 50).proportion_ci(method="wilson")
    assert interval(ones(37, 50), 1) == pytest.approx((expected.low, expected.high))


def test_bootstrap_over_prompts_is_near_the_normal_interval() -> None:
    x = np.random.default_rng(0).choice([0.0, 0.25, 0.5, 0.75, 1.0], size=400)
    half = 1.96 * x.std(ddof=1) / math.sqrt(len(x))
    assert interval(x, 4) == pytest.approx((x.mean() - half, x.mean() + half), abs=0.004)


def test_prompts_are_the_unit_not_samples() -> None:
    """Samples that agree within a prompt say no more than one sample a prompt does."""
    per_prompt = ones(60, 100)
    low, high = interval(per_prompt, 8)
    single_low, single_high = interval(per_prompt, 1)
    assert high - low == pytest.approx(single_high - single_low, rel=0.1)


@pytest.mark.parametrize(("value", "expected"), [(1.0, (0.9630, 1.0)), (0.0, (0.0, 0.0370)), (0.5, (0.4038, 0.5962))])
def test_a_constant_rate_still_gets_a_wilson_interval(value: float, expected: tuple[float, float]) -> None:
    assert interval(np.full(100, value), 4) == pytest.approx(expected, abs=1e-4)


def test_a_constant_count_is_its_own_interval() -> None:
    assert interval(np.full(20, 31.0), 4) == (31.0, 31.0)


def test_token_counts_are_bootstrapped_even_with_one_sample() -> None:
    low, high = interval(np.arange(50, dtype=float), 1)
    assert 18 < low < 24.5 < high < 31


def test_prompts_without_a_value_are_left_out() -> None:
    x = np.array([1.0, 0.0, np.nan, 1.0, np.nan])
    assert interval(x, 1) == interval(np.array([1.0, 0.0, 1.0]), 1)
    assert all(math.isnan(v) for v in interval(np.full(3, np.nan), 1))


def test_samples_that_do_not_count_leave_the_mean() -> None:
    values = np.array([[1.0, np.nan, 0.0], [np.nan, np.nan, np.nan], [1.0, 1.0, 1.0]])
    assert prompt_means(values) == pytest.approx([0.5, np.nan, 1.0], nan_ok=True)


@given(st.lists(st.integers(0, 4), min_size=1, max_size=40), st.sampled_from([1, 4]))
def test_an_interval_of_a_rate_holds_it_and_stays_within_0_and_1(counts: list[int], k: int) -> None:
    x = np.array(counts) / 4 if k == 4 else (np.array(counts) > 2).astype(float)
    low, high = interval(x, k)
    assert 0 <= low <= x.mean() + 1e-12
    assert x.mean() - 1e-12 <= high <= 1


def test_the_same_data_give_the_same_interval() -> None:
    x = np.random.default_rng(1).random(50)
    assert interval(x, 4) == interval(x.copy(), 4)


def test_delta_is_b_minus_a_and_narrower_than_unpaired() -> None:
    rng = np.random.default_rng(2)
    base = rng.random(200)
    a, b = base, np.clip(base + 0.1 + rng.normal(0, 0.02, 200), 0, 2)
    delta, low, high, p = paired_delta(a, b)
    assert delta == pytest.approx(0.1, abs=0.01)
    assert low < delta < high
    assert high - low < 0.01  # either arm alone varies by 0.29: unpaired it would be 0.11
    assert p == pytest.approx(2 / 10_000)


def test_p_of_a_few_prompts_is_the_exact_sign_flip_test() -> None:
    """Six prompts, all better: 2 of 2**6 sign patterns are as extreme."""
    d = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6])
    assert paired_delta(np.zeros(6), d).p == pytest.approx(2 / 64)


def test_no_difference_is_no_evidence() -> None:
    x = np.random.default_rng(3).random(30)
    delta, low, high, p = paired_delta(x, x)
    assert (delta, p) == (0.0, 1.0)
    assert -0.12 < low == -high < -0.1  # Wilson, 30 of 30: one prompt in nine may still differ


def test_the_same_difference_everywhere_is_not_certain() -> None:
    delta, low, high, p = paired_delta(np.zeros(20), np.ones(20))
    assert (delta, high) == (1.0, 1.0)
    assert low == pytest.approx(2 * 20 / (20 + 1.959964**2) - 1)
    assert p < 0.001


def test_a_quantity_that_is_no_rate_and_differs_alike_has_its_value_alone() -> None:
    tokens = np.array([100.0, 250.0, 30.0])
    assert paired_delta(tokens, tokens + 5)[:3] == (5.0, 5.0, 5.0)


def test_prompts_missing_on_one_side_are_left_out_of_both() -> None:
    a = np.array([0.0, 0.5, np.nan, 1.0])
    b = np.array([1.0, np.nan, 0.0, 1.0])
    assert paired_delta(a, b).delta == 0.5


def test_unequal_lengths_cannot_be_paired() -> None:
    with pytest.raises(ValueError, match="cannot pair 3 prompts with 4"):
        paired_delta(np.zeros(3), np.zeros(4))
