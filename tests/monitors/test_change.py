"""The bounds behind the alarms, against statsmodels and scipy, which a training run does not import."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from scipy.stats import ttest_ind
from statsmodels.stats.proportion import proportion_confint

from lrmctl.monitors import sequential_tests


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("alpha", [0.005, 1e-6])
def test_the_level_is_wilsons_lower_bound(seed: int, alpha: float) -> None:
    shares = np.random.default_rng(seed).choice([0.0, 0.25, 1.0], size=40 + seed).tolist()
    low, _ = proportion_confint(sum(shares), len(shares), alpha=2 * alpha, method="wilson")
    assert sequential_tests.level(shares, alpha) == pytest.approx(low, abs=1e-12)
    assert sequential_tests.level([0.0] * 9, alpha) == pytest.approx(0.0, abs=1e-15)


def test_a_difference_is_welchs() -> None:
    rng = np.random.default_rng(0)
    before, after = rng.normal(size=30), rng.normal(1.0, 2.0, size=17)
    interval = ttest_ind(after, before, equal_var=False).confidence_interval(0.99)
    assert sequential_tests.difference(before.tolist(), after.tolist(), 0.005) == pytest.approx(
        (interval.low, interval.high)
    )


def test_they_import_no_statistics_package() -> None:
    code = (
        "import sys; from lrmctl.monitors import sequential_tests as change;"
        "change.level([0.0, 1.0, 1.0], 0.01); change.rise([0.0, 0.5], [1.0, 0.5], 0.01);"
        "assert not {'statsmodels', 'scipy.stats'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
