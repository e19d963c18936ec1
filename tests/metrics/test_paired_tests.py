"""McNemar, sign flips and Holm against scipy and statsmodels, and how they behave where nothing differs."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lrmctl.stats import holm, mcnemar_p, paired_delta, sign_flip_p


@pytest.mark.parametrize(("gained", "lost"), [(15, 5), (1, 0), (0, 6), (121, 59), (40, 40), (900, 700)])
def test_mcnemar_is_the_exact_binomial_test_of_what_differs(gained: int, lost: int) -> None:
    from scipy.stats import binomtest
    from statsmodels.stats.contingency_tables import mcnemar

    a = np.array([False] * gained + [True] * lost + [True] * 30 + [False] * 20)
    b = np.array([True] * gained + [False] * lost + [True] * 30 + [False] * 20)
    p = mcnemar_p(a, b)
    assert p == pytest.approx(binomtest(gained, gained + lost).pvalue, rel=1e-9)
    assert p == pytest.approx(mcnemar([[30, lost], [gained, 20]], exact=True).pvalue, rel=1e-9)


def test_where_nothing_differs_mcnemar_has_no_evidence() -> None:
    assert mcnemar_p([True, False], [True, False]) == 1.0


def test_mcnemar_needs_pairs() -> None:
    with pytest.raises(ValueError, match="cannot pair 2 prompts with 3"):
        mcnemar_p([True, False], [True, False, True])


@given(st.lists(st.sampled_from([-1.0, 0.0, 1.0]), min_size=1, max_size=30))
def test_the_sign_flip_test_of_one_sample_a_prompt_is_mcnemar(d: list[float]) -> None:
    found, exact = sign_flip_p(np.array(d)), mcnemar_p(np.array(d) < 0, np.array(d) > 0)
    assert found == pytest.approx(exact, abs=1e-12 if sum(map(bool, d)) <= 13 else 0.05)  # 5 sigma


@pytest.mark.parametrize("n", [12, 60, 300])
def test_sign_flips_agree_with_scipys_permutation_test(n: int) -> None:
    from scipy.stats import permutation_test

    rng = np.random.default_rng(n)
    for d in (rng.choice([-0.5, -0.25, 0, 0.25, 0.5, 0.75], n), rng.normal(0.1, 1, n)):
        theirs = permutation_test(
            (d,), np.mean, permutation_type="samples", vectorized=True, n_resamples=9999, rng=np.random.default_rng(1)
        ).pvalue
        assert sign_flip_p(d) == pytest.approx(theirs, abs=1e-9 if n == 12 else 0.025)


def test_a_p_value_is_never_0() -> None:
    assert sign_flip_p(np.ones(500)) == 2 / 10_000


@pytest.mark.e2e
@pytest.mark.parametrize(("k", "change"), [(1, 0.0), (4, 0.0), (4, 0.05)])
def test_intervals_of_deltas_hold_the_truth_and_p_values_keep_their_promise(k: int, change: float) -> None:
    """150 prompts whose chances differ: two models that are alike, and two of which one is 5 points better."""
    rng, times, hits, small = np.random.default_rng(5), 400, 0, 0
    for _ in range(times):
        chance = 0.9 * rng.beta(4, 1, size=150)
        a, b = rng.binomial(k, chance) / k, rng.binomial(k, chance + change) / k
        found = paired_delta(a, b)
        hits += found.low - 1e-12 <= change <= found.high + 1e-12
        small += found.p < 0.05
    print(f"K {k}, delta {change}: coverage {hits / times}, p below .05 in {small / times}")
    assert 0.92 <= hits / times <= 0.985
    assert small / times <= 0.08 if not change else small / times > 0.5


@pytest.mark.timeout(60)  # scipy.stats took 75 s and 15 GB
def test_deltas_of_many_prompts_are_found() -> None:
    rng = np.random.default_rng(0)
    a, b = (rng.binomial(4, share, 25_000) / 4 for share in (0.9, 0.91))
    found = paired_delta(a, b)
    assert found.low < 0.01 < found.high
    assert found.p < 0.01


@settings(max_examples=20)
@given(st.lists(st.floats(0, 1), max_size=12))
def test_holm_is_statsmodels_holm(ps: list[float]) -> None:
    from statsmodels.stats.multitest import multipletests

    expected = multipletests(ps, method="holm")[1] if ps else []
    assert holm(ps) == pytest.approx(list(expected))


def test_what_was_not_tested_is_not_counted() -> None:
    found = holm([0.02, math.nan, 0.01])
    assert math.isnan(found[1])
    assert (found[0], found[2]) == (pytest.approx(0.02), pytest.approx(0.02))
