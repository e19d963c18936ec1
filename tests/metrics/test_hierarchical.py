"""Differences over bases and training seeds against closed forms and scipy."""

from __future__ import annotations

import math

import numpy as np
import pytest

from lrmctl.stats import hierarchical_delta, spread


def additive(seeds: list[float], prompts: np.ndarray) -> np.ndarray:
    """[seeds, prompts]: a seed's effect plus a prompt's effect."""
    return np.asarray(seeds)[:, None] + prompts


def test_one_seed_is_the_bootstrap_over_prompts() -> None:
    from scipy.stats import bootstrap

    d = np.random.default_rng(1).choice([-1.0, 0.0, 0.5, 1.0], 80)
    found = hierarchical_delta([d[None, :]])
    low, high = bootstrap((d,), np.mean, method="percentile", n_resamples=20_000, rng=0).confidence_interval
    assert found.delta == pytest.approx(d.mean())
    assert (found.low, found.high) == (pytest.approx(low, abs=0.02), pytest.approx(high, abs=0.02))


def test_the_interval_has_the_variance_of_the_mean_over_seeds_and_prompts() -> None:
    """Drawing all S seeds would give (S - 1) / S of their variance."""
    seeds = [0.3, 0.1, 0.2, 0.0, 0.25]
    prompts = np.random.default_rng(2).normal(0, 0.4, 200)
    prompts -= prompts.mean()
    found = hierarchical_delta([additive(seeds, prompts)])
    wanted = math.sqrt(np.var(seeds, ddof=1) / len(seeds) + np.var(prompts) / prompts.size)
    assert (found.high - found.low) == pytest.approx(2 * 1.96 * wanted, rel=0.1)
    assert found.delta == pytest.approx(np.mean(seeds))


def test_the_interval_of_two_seeds_reaches_beyond_both() -> None:
    prompts = np.random.default_rng(2).normal(0, 0.1, 200)
    found = hierarchical_delta([additive([0.3, 0.1], prompts - prompts.mean())])
    assert found.low < 0.1 < 0.3 < found.high


def test_prompts_are_drawn_once_for_all_bases() -> None:
    """What a prompt adds on every base does not average out over bases."""
    prompts = np.random.default_rng(3).normal(0, 0.5, 100)
    one = hierarchical_delta([additive([0.2], prompts)])
    four = hierarchical_delta([additive([0.2], prompts)] * 4)
    assert four.high - four.low == pytest.approx(one.high - one.low, rel=0.05)


def test_bases_are_averaged_alike_whatever_their_seeds() -> None:
    prompts = np.zeros(10)
    found = hierarchical_delta([additive([1.0], prompts), additive([0.0, 0.0, 0.0], prompts)])
    assert found.delta == pytest.approx(0.5)


def test_an_effect_beyond_every_replicate_has_the_smallest_p_and_none_has_one() -> None:
    prompts = np.random.default_rng(4).normal(0, 0.1, 50)
    assert hierarchical_delta([additive([0.5, 0.6], prompts)]).p == pytest.approx(2 / 10_000)
    assert hierarchical_delta([additive([0.1, -0.1], prompts - prompts.mean())]).p > 0.5
    assert hierarchical_delta([np.zeros((2, 20))]).p == 1.0


def test_a_constant_difference_keeps_the_doubt_of_few_prompts() -> None:
    few, many = (hierarchical_delta([np.full((2, n), 0.5)]) for n in (5, 500))
    assert few.low < many.low < 0.5 < many.high < few.high


def test_prompts_that_do_not_count_are_left_out_of_a_seed() -> None:
    d = np.array([[1.0, np.nan, 0.0, np.nan], [1.0, 1.0, np.nan, np.nan]])
    found = hierarchical_delta([d])
    assert found.delta == pytest.approx(0.75)
    assert 0.0 <= found.low <= found.high <= 1.0


def test_a_base_without_any_difference_gives_nothing() -> None:
    assert all(map(math.isnan, hierarchical_delta([np.full((1, 3), np.nan)])))


def test_other_prompts_are_refused() -> None:
    with pytest.raises(ValueError, match="same prompts"):
        hierarchical_delta([np.zeros((1, 3)), np.zeros((1, 4))])


def test_the_spread_is_named_by_where_it_is_from() -> None:
    prompts = np.array([-0.2, 0.0, 0.2])
    found = spread([additive([0.1, 0.3], prompts), additive([0.5, 0.5], prompts)])
    assert found.bases == pytest.approx(np.std([0.2, 0.5], ddof=1))
    assert found.seeds == pytest.approx(math.sqrt((0.02 + 0.0) / 2))
    assert found.prompts == pytest.approx(np.std(prompts, ddof=1) / math.sqrt(3))


def test_one_base_and_one_seed_have_no_spread_to_show() -> None:
    found = spread([additive([0.1], np.array([0.0, 0.2]))])
    assert math.isnan(found.bases)
    assert math.isnan(found.seeds)
    assert found.prompts == pytest.approx(np.std([0.1, 0.3], ddof=1) / math.sqrt(2))
