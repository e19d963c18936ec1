"""Paired tests of the same prompts under two models, and p values adjusted for multiple tests."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from lrmctl.stats.intervals import AT_ONCE, FEW, SEED, bca, percentile, wilson

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]

PERMUTATIONS = 9_999


class PairedDelta(NamedTuple):
    """Change from `a` to `b` on the same prompts: mean of b - a, its 95 % interval, and a two-sided p value."""

    delta: float
    low: float
    high: float
    p: float


def paired_delta(a: Vector, b: Vector, *, confidence: float = 0.95) -> PairedDelta:
    """How `b` differs from `a` on the same prompts: mean(b - a), bootstrap interval, permutation p.

    Prompts with a NaN on either side are left out of both. The interval is the BCa bootstrap over prompts; p is from
    the sign-flip permutation test of the differences (see `sign_flip_p`). If all rates differ by the same amount, a
    bootstrap has zero width: see `constant_difference`.

    Args:
        a, b: [prompts], per-prompt means in the same order.

    Raises:
        ValueError: the two have different lengths and so cannot be paired.
    """
    import numpy as np

    a, b = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if a.shape != b.shape:
        raise ValueError(f"cannot pair {a.shape[0]} prompts with {b.shape[0]}")
    d = b - a
    counts = ~np.isnan(d)
    d = d[counts]
    if not d.size:
        return PairedDelta(float("nan"), float("nan"), float("nan"), float("nan"))
    delta = float(d.mean())
    if not np.ptp(d):
        rates = all(float(x[counts].min()) >= 0.0 and float(x[counts].max()) <= 1.0 for x in (a, b))
        low, high = constant_difference(delta, d.size, confidence) if rates else (delta, delta)
        return PairedDelta(delta, low, high, sign_flip_p(d))
    low, high = bca(d, confidence)
    if not (math.isfinite(low) and math.isfinite(high)):
        low, high = percentile(d, confidence)
    return PairedDelta(delta, low, high, sign_flip_p(d))


def constant_difference(delta: float, n: int, confidence: float) -> tuple[float, float]:
    """Interval of the mean difference of rates when all n prompts have the same difference.

    Wilson's interval of n out of n bounds the share of unseen prompts that may differ otherwise, by any amount.
    """
    low, _ = wilson(n, n, confidence)
    return max(-1.0, low * delta - (1 - low)), min(1.0, low * delta + (1 - low))


def sign_flip_p(d: Vector) -> float:
    """Two-sided p of the sign-flip permutation test of mean(d) = 0.

    Exact if the nonzero differences have at most `PERMUTATIONS` sign patterns; else that many random patterns with the
    add-one estimate (Phipson and Smyth 2010), so that p is never 0. Prompts with the same absolute difference are
    flipped together as a binomial count: the same distribution, with memory that does not grow with n.

    Args:
        d: [prompts], differences without NaN.
    """
    import numpy as np

    sizes, counts = np.unique(np.round(np.abs(d[d != 0]), 12), return_counts=True)
    if not sizes.size:
        return 1.0
    n, observed = int(counts.sum()), abs(float(d.sum()))
    exact = 2**n <= PERMUTATIONS
    sums = _all_sums(np.repeat(sizes, counts)) if exact else _random_sums(sizes, counts)
    extreme = int((sums >= observed - 1e-9 * max(1.0, observed)).sum())
    one_sided: float = extreme / sums.size if exact else (extreme + 1) / (sums.size + 1)
    return min(1.0, 2 * one_sided)


def _all_sums(sizes: Vector) -> Any:
    import numpy as np

    patterns = np.arange(2**sizes.size)[:, None] >> np.arange(sizes.size)
    return (2 * (patterns & 1) - 1) @ sizes


def _random_sums(sizes: Vector, counts: NDArray[np.int64]) -> Any:
    import numpy as np

    rng = np.random.default_rng(SEED)
    if sizes.size <= FEW:
        return (2 * rng.binomial(counts, 0.5, size=(PERMUTATIONS, sizes.size)) - counts) @ sizes
    each = np.repeat(sizes, counts)
    step = max(1, AT_ONCE // each.size)
    sums = [
        rng.integers(2, size=(min(step, PERMUTATIONS - start), each.size), dtype=np.int8) @ each
        for start in range(0, PERMUTATIONS, step)
    ]
    return 2 * np.concatenate(sums) - each.sum()


def mcnemar_p(a: Any, b: Any) -> float:
    """Exact two-sided p of McNemar's test: on the prompts where a and b differ, does one side succeed more often?

    Twice the smaller tail of Binomial(n, 1/2) over the n prompts that differ, at most 1 (McNemar 1947; exact form as in
    statsmodels' `mcnemar(exact=True)` and scipy's `binomtest`). 1 if none differs.

    Args:
        a, b: [prompts], whether each prompt succeeded; one sample per prompt.

    Raises:
        ValueError: different lengths.
    """
    import numpy as np
    from scipy.special import bdtr

    a, b = np.asarray(a, dtype=bool), np.asarray(b, dtype=bool)
    if a.shape != b.shape:
        raise ValueError(f"cannot pair {a.shape[0]} prompts with {b.shape[0]}")
    gained, lost = int((b & ~a).sum()), int((a & ~b).sum())
    return min(1.0, 2 * float(bdtr(float(min(gained, lost)), gained + lost, 0.5))) if gained + lost else 1.0


def holm(ps: Sequence[float]) -> list[float]:
    """p values adjusted for multiple tests (Holm 1979), which controls the family-wise error rate.

    The i-th smallest of m, from 0, is multiplied by m - i, then made non-decreasing and capped at 1. A NaN was not
    tested: it stays NaN and does not count towards m.
    """
    adjusted = [float("nan")] * len(ps)
    order = sorted((i for i, p in enumerate(ps) if not math.isnan(p)), key=lambda i: ps[i])
    highest = 0.0
    for rank, i in enumerate(order):
        highest = max(highest, min(1.0, (len(order) - rank) * ps[i]))
        adjusted[i] = highest
    return adjusted
