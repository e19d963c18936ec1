"""How many prompts: the formula against simulated comparisons, and against statsmodels."""

from __future__ import annotations

import numpy as np
import pytest

from lrmctl.stats import mcnemar_p, prompts_needed, prompts_needed_unpaired, sign_flip_p

PILOT = 2_000_000


def drawn(rng: np.random.Generator, n: int, k: int) -> np.ndarray:
    """Differences of n prompts: chances that vary between prompts, the second model a little safer."""
    chance = rng.beta(4, 1, size=n)
    return (rng.binomial(k, np.minimum(1, chance + 0.06)) - rng.binomial(k, chance)) / k


@pytest.mark.e2e
@pytest.mark.parametrize("k", [1, 4])
def test_with_so_many_prompts_four_of_five_comparisons_find_the_difference(k: int) -> None:
    rng = np.random.default_rng(k)
    n = prompts_needed(drawn(rng, PILOT, k))
    assert n is not None
    p = [(lambda d: mcnemar_p(d < 0, d > 0) if k == 1 else sign_flip_p(d))(drawn(rng, n, k)) for _ in range(400)]
    found = np.mean(np.array(p) < 0.05)
    print(f"K {k}: {n} prompts, power {found:.3f} in simulation")
    assert found == pytest.approx(0.8, abs=0.06)


def test_more_power_and_smaller_differences_need_more_prompts() -> None:
    d = drawn(np.random.default_rng(0), 500, 4)
    assert prompts_needed(d) < prompts_needed(d, power=0.9) < prompts_needed(d, power=0.9, alpha=0.01)
    assert prompts_needed(d - d.mean() / 2) > prompts_needed(d)


def test_connors_formula_for_one_sample_a_prompt() -> None:
    """18 % gained, 10 % lost: (1.95996 sqrt(.28) + .84162 sqrt(.28 - .08^2))^2 / .08^2 = 341.02."""
    d = np.array([1.0] * 18 + [-1.0] * 10 + [0.0] * 72)
    assert prompts_needed(d) == 342


def test_however_clear_a_difference_a_test_needs_six_prompts_that_differ() -> None:
    assert prompts_needed(np.ones(3)) == 6
    assert [sign_flip_p(np.ones(n)) < 0.05 for n in (5, 6)] == [False, True]
    assert prompts_needed(np.array([1.0, 0.0, 0.0])) >= 18


@pytest.mark.parametrize("d", [[], [0.0, 0.0], [1.0, -1.0], [np.nan]])
def test_no_difference_needs_no_number(d: list[float]) -> None:
    assert prompts_needed(np.array(d)) is None


def test_prompts_without_a_value_are_left_out_of_the_plan() -> None:
    d = drawn(np.random.default_rng(0), 200, 4)
    assert prompts_needed(np.append(d, np.nan)) == prompts_needed(d)


@pytest.mark.parametrize(("a", "b"), [(0.9, 0.95), (0.5, 0.6), (0.0, 0.03)])
def test_unpaired_numbers_are_statsmodels(a: float, b: float) -> None:
    from statsmodels.stats.power import NormalIndPower
    from statsmodels.stats.proportion import proportion_effectsize

    theirs = NormalIndPower().solve_power(proportion_effectsize(b, a), power=0.8, alpha=0.05)
    assert prompts_needed_unpaired(a, b) == int(np.ceil(theirs))


def test_90_to_95_percent_takes_424_prompts_each_unpaired() -> None:
    assert prompts_needed_unpaired(0.9, 0.95) == 424
    assert prompts_needed_unpaired(0.9, 0.9) is None
