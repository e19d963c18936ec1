"""Intervals hold the truth as often as they say; those of pooled rows do not."""

from __future__ import annotations

import numpy as np
import pytest

from lrmctl.stats import interval, wilson
from lrmctl.stats.intervals import bca


def drawn(rng: np.random.Generator, prompts: int, k: int, mean: float, alike: float) -> np.ndarray:
    """Per-prompt means; `alike`: correlation of the samples of one prompt."""
    size = 1 / alike - 1
    return rng.binomial(k, rng.beta(mean * size, (1 - mean) * size, size=prompts)) / k


@pytest.mark.parametrize(
    ("prompts", "k", "mean"), [(313, 1, 0.9), (50, 4, 0.5), (200, 4, 0.9), (313, 4, 0.98), (60, 8, 0.8)]
)
def test_nineteen_of_twenty_intervals_hold_the_truth_and_pooled_ones_do_not(prompts: int, k: int, mean: float) -> None:
    """Pooled: Wilson over all rows as if they were independent. Samples of one prompt agree (correlation 0.6)."""
    rng, times = np.random.default_rng(11), 500
    ours = pooled = 0
    for _ in range(times):
        x = drawn(rng, prompts, k, mean, alike=0.6)
        low, high = interval(x, k)
        ours += low - 1e-12 <= mean <= high + 1e-12
        low, high = wilson(x.sum() * k, x.size * k)
        pooled += low <= mean <= high
    print(f"{prompts} prompts, K {k}, rate {mean}: coverage {ours / times}, pooled {pooled / times}")
    assert 0.92 <= ours / times <= 0.99
    if k > 1:
        assert pooled / times < 0.82


def test_the_interval_of_a_rate_near_1_may_be_wide_but_not_short() -> None:
    rng = np.random.default_rng(3)
    hits = 0
    for _ in range(500):
        low, high = interval(drawn(rng, 50, 4, 0.995, alike=0.5), 4)
        hits += low <= 0.995 <= high
    assert hits / 500 > 0.93


def test_pooled_rows_claim_too_much() -> None:
    """200 prompts x 8 samples: the figures of one data set, so that the trap has a size."""
    x = drawn(np.random.default_rng(1), 200, 8, 0.85, alike=0.6)
    low, high = interval(x, 8)
    pooled_low, pooled_high = wilson(x.sum() * 8, 1600)
    assert (low, high) == pytest.approx((0.8056, 0.8856), abs=1e-4)
    assert (pooled_low, pooled_high) == pytest.approx((0.8310, 0.8661), abs=1e-4)


@pytest.mark.parametrize("n", [15, 100, 400])
def test_bca_is_scipys_bca(n: int) -> None:
    """Other random draws, the same interval but for what 2,000 draws leave open."""
    from scipy.stats import bootstrap

    rng = np.random.default_rng(n)
    for x in (rng.binomial(4, 0.9, n) / 4, rng.exponential(100.0, n)):
        theirs = bootstrap(
            (x,), np.mean, n_resamples=20_000, method="BCa", vectorized=True, rng=np.random.default_rng(0)
        ).confidence_interval
        width = theirs.high - theirs.low
        assert bca(x) == pytest.approx((theirs.low, theirs.high), abs=0.08 * width)


def test_many_prompts_are_no_matter() -> None:
    x = np.random.default_rng(0).binomial(4, 0.9, 200_000) / 4
    low, high = interval(x, 4)
    half = 1.96 * x.std() / np.sqrt(x.size)
    assert (low, high) == pytest.approx((x.mean() - half, x.mean() + half), abs=half / 10)
