"""The figures of a comparison against other people's implementations."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from compared import benign, evaluated, row, sum_of

from lrmctl.comparison import Delta, compare
from lrmctl.errors import LrmctlError

N = 60


def coins(seed: int, chance: float) -> list[bool]:
    rng = random.Random(seed)
    return [rng.random() < chance for _ in range(N)]


def of(deltas: list[Delta], metric: str, name: str = "s") -> Delta:
    (found,) = [d for d in deltas if (d.metric, d.set) == (metric, name)]
    return found


def test_one_sample_a_prompt_is_tested_with_exact_mcnemar(tmp_path: Path) -> None:
    from statsmodels.stats.contingency_tables import mcnemar

    x, y = coins(1, 0.4), coins(2, 0.7)
    a = evaluated(tmp_path / "a", [row(str(i), safe) for i, safe in enumerate(x)])
    b = evaluated(tmp_path / "b", [row(str(i), safe) for i, safe in enumerate(y)])
    found = of(compare(a, b), "joint_safe")
    cells = [[sum(p == u and q == v for p, q in zip(x, y, strict=True)) for v in (True, False)] for u in (True, False)]
    assert found.test == "mcnemar"
    assert found.p == pytest.approx(mcnemar(cells, exact=True).pvalue)
    assert (found.wins, found.losses) == (cells[1][0], cells[0][1])


def test_several_samples_a_prompt_are_tested_by_flipping_signs(tmp_path: Path) -> None:
    import numpy as np
    from scipy.stats import permutation_test

    x, y = ([coins(seed + s, 0.5 + 0.1 * seed) for s in range(3)] for seed in (0, 1))
    a = evaluated(tmp_path / "a", [row(str(i), x[s][i], sample=s) for i in range(N) for s in range(3)])
    b = evaluated(tmp_path / "b", [row(str(i), y[s][i], sample=s) for i in range(N) for s in range(3)])
    found = of(compare(a, b), "joint_safe")
    differences = np.mean(y, axis=0) - np.mean(x, axis=0)
    wanted = permutation_test((differences,), np.mean, permutation_type="samples", n_resamples=20_000, rng=0)
    assert found.test == "permutation"
    assert found.p == pytest.approx(wanted.pvalue, abs=0.02)


def test_holm_is_over_the_main_metric_of_each_set(tmp_path: Path) -> None:
    from statsmodels.stats.multitest import multipletests

    def rows(seed: int, chance: float) -> list:  # type: ignore[type-arg]
        safe, helped, right = coins(seed, chance), coins(seed + 10, chance), coins(seed + 20, 0.6)
        return [
            made
            for i in range(N)
            for made in (row(str(i), safe[i]), benign(str(i), not helped[i]), sum_of(str(i), right[i]))
        ]

    a, b = evaluated(tmp_path / "a", rows(1, 0.4)), evaluated(tmp_path / "b", rows(2, 0.7))
    found = compare(a, b)
    family = [of(found, "joint_safe"), of(found, "complied", "b"), of(found, "correct", "sums")]
    wanted = multipletests([d.p for d in family], method="holm")[1]
    assert [d.p_holm for d in family] == pytest.approx(list(wanted))
    assert {d.p_holm for d in found if d.metric in ("thinking_safe", "answer_safe")} == {None}


def test_the_prompts_needed_shrink_as_the_difference_grows(tmp_path: Path) -> None:
    a = evaluated(tmp_path / "a", [row(str(i), i < 20) for i in range(N)])
    needed = []
    for gain in (4, 20):
        b = evaluated(tmp_path / f"b{gain}", [row(str(i), i < 20 + gain) for i in range(N)])
        needed.append(of(compare(a, b), "joint_safe").needed)
    assert needed[0] is not None
    assert needed[1] is not None
    assert needed[0] > 2 * needed[1]
    assert of(compare(a, a), "joint_safe").needed is None


def test_less_of_what_is_bad_is_a_win(tmp_path: Path) -> None:
    a = evaluated(tmp_path / "a", [row("1", False), row("2", True)])
    b = evaluated(tmp_path / "b", [row("1", True), row("2", True)])
    found = of(compare(a, b, metrics=["joint_unsafe"]), "joint_unsafe")
    assert (found.delta, found.wins, found.losses, found.ties) == (-0.5, 1, 0, 1)


def test_a_failed_completion_is_left_out_of_the_pair_and_is_not_wrong(tmp_path: Path) -> None:
    a = evaluated(tmp_path / "a", [sum_of("1", True), sum_of("2", True)])
    b = evaluated(tmp_path / "b", [sum_of("1", False, finish="error"), sum_of("2", True)])
    found = of(compare(a, b), "correct", "sums")
    assert (found.prompts, found.left_out, found.delta) == (1, 1, 0)


def test_an_unknown_metric_is_named(tmp_path: Path) -> None:
    a = evaluated(tmp_path / "a", [row("1", True)])
    with pytest.raises(LrmctlError, match=r"(?s)joint_saef.*did you mean 'joint_safe'"):
        compare(a, a, metrics=["joint_saef"])


def test_prompts_that_all_differ_alike_still_have_an_interval(tmp_path: Path) -> None:
    a = evaluated(tmp_path / "a", [row(p, False) for p in "123"])
    b = evaluated(tmp_path / "b", [row(p, True) for p in "123"])
    (found,) = [d for d in compare(a, b) if d.metric == "joint_safe"]
    assert (found.delta, found.high) == (1.0, 1.0)
    assert found.low < 0  # three prompts tell little of the next one
    (none,) = [d for d in compare(a, a) if d.metric == "joint_safe"]
    assert none.low < none.delta == 0.0 < none.high
