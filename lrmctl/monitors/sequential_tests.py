"""Bounds for the difference of two windows that stay valid under repeated testing.

The unit is the group (all samples of one prompt at one step), never the single rollout. Each look k at one of m series
spends alpha / (m k (k + 1)); summed over all k that is alpha, so the probability that an alarm ever fires on a
stationary run is at most about alpha, however long the run is (Bonferroni, with a summable weight for each look).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

ALPHA = 0.01
"""Probability that an alarm fires in a stationary run."""


def share_of_alpha(look: int, series: int = 1, alpha: float = ALPHA) -> float:
    """Share of alpha that look `look` (from 1) at one of `series` series may spend."""
    return alpha / (series * look * (look + 1))


def level(shares: Sequence[float], alpha: float) -> float:
    """Lower bound of the mean of group shares (one-sided Wilson with the groups as units; conservative).

    Uses special functions: importing statsmodels would cost more processor time than all alarms together.
    """
    from scipy.special import ndtri

    n, z = len(shares), -float(ndtri(alpha))
    share, extra = math.fsum(shares) / n, z * z / n
    spread = math.sqrt(extra * share * (1 - share) + extra * extra / 4)
    return max(0.0, (share + extra / 2 - spread) / (1 + extra))


def rise(before: Sequence[float], after: Sequence[float], alpha: float) -> float:
    """Lower bound of mean(after) - mean(before) for group shares in [0, 1].

    Welch's t over groups after adding a 0 and a 1 to each side (Agresti and Caffo 2000), so that identical groups do
    not give an interval of zero width.
    """
    return _welch([*before, 0.0, 1.0], [*after, 0.0, 1.0], alpha)


def factor(before: Sequence[float], after: Sequence[float], alpha: float) -> tuple[float, float]:
    """Lower and upper bound of mean(after) / mean(before) for positive quantities, by the delta method on logs."""
    (a, va, na), (b, vb, nb) = _moments(before), _moments(after)
    if a <= 0 or b <= 0:
        return (math.inf, math.inf) if b > 0 else (0.0, 0.0)
    ea, eb = va / (na * a * a), vb / (nb * b * b)
    half = _t(alpha, ea, na, eb, nb) * math.sqrt(ea + eb)
    centre = math.log(b / a)
    return math.exp(centre - half), math.exp(min(700.0, centre + half))


def difference(before: Sequence[float], after: Sequence[float], alpha: float) -> tuple[float, float]:
    """Lower and upper bound of mean(after) - mean(before), by Welch's t over groups."""
    return _welch(before, after, alpha), -_welch([-x for x in before], [-x for x in after], alpha)


def _welch(before: Sequence[float], after: Sequence[float], alpha: float) -> float:
    (a, va, na), (b, vb, nb) = _moments(before), _moments(after)
    ea, eb = va / na, vb / nb
    return b - a - _t(alpha, ea, na, eb, nb) * math.sqrt(ea + eb)


def _t(alpha: float, ea: float, na: int, eb: float, nb: int) -> float:
    """Student's quantile with Welch's degrees of freedom; `e` are squared standard errors."""
    from scipy.special import stdtrit

    if ea + eb == 0:
        return 0.0
    freedom = (ea + eb) ** 2 / (ea**2 / max(1, na - 1) + eb**2 / max(1, nb - 1))
    return -float(stdtrit(freedom, alpha))


def _moments(values: Sequence[float]) -> tuple[float, float, int]:
    n = len(values)
    mean = math.fsum(values) / n
    return mean, math.fsum((x - mean) ** 2 for x in values) / max(1, n - 1), n
