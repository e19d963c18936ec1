"""Differences over several bases and training seeds: a bootstrap of seeds and prompts, and where the spread is from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from lrmctl.stats.intervals import SEED
from lrmctl.stats.paired import constant_difference

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Matrix = NDArray[np.float64]
    Vector = NDArray[np.float64]

REPLICATES = 9_999
_AT_ONCE = 1_000
"""Replicates held in memory at the same time."""


class HierarchicalDelta(NamedTuple):
    """A mean difference with its 95 % interval and a two-sided p value, both from one bootstrap."""

    delta: float
    low: float
    high: float
    p: float


class Spread(NamedTuple):
    """Where the differences vary, each in the unit of the difference; NaN where one value cannot show a spread.

    Attributes:
        bases: standard deviation of the bases' means.
        seeds: standard deviation of the training seeds' means within a base, pooled over bases.
        prompts: standard error over prompts of the mean over bases and seeds.
    """

    bases: float
    seeds: float
    prompts: float


def hierarchical_delta(bases: Sequence[Matrix], *, confidence: float = 0.95) -> HierarchicalDelta:
    """The mean over bases of the mean over seeds and prompts, with a bootstrap of seeds, then prompts.

    A replicate draws, for each base, S - 1 of its S seeds with replacement, and draws all prompts with replacement once
    for all seeds and bases, because those share them. S - 1 and not S makes the variance between few seeds right
    (Rao and Wu 1988); one seed is kept as it is, and the interval then says nothing about other seeds. Bases are the
    ones named: they are not drawn. p is twice the smaller share of replicates on one side of 0, with the add-one
    estimate.

    Args:
        bases: per base [seeds, prompts], differences of one prompt's mean rates; prompts in one order for all bases,
            NaN where a prompt does not count.

    Returns:
        NaN everywhere if a base has no difference at all.

    Raises:
        ValueError: no base, or bases with different numbers of prompts.
    """
    import numpy as np

    if len({base.shape[1] for base in bases}) != 1:
        raise ValueError("the bases need the same prompts in the same order")
    counted = [~np.isnan(base) for base in bases]
    if not all(found.any() for found in counted):
        return HierarchicalDelta(*[float("nan")] * 4)
    filled = [np.where(found, base, 0.0) for base, found in zip(bases, counted, strict=True)]
    weights = [found.astype(np.float64) for found in counted]
    delta = float(np.mean([x.sum() / w.sum() for x, w in zip(filled, weights, strict=True)]))
    rng = np.random.default_rng(SEED)
    parts = [
        _replicates(rng, filled, weights, min(_AT_ONCE, REPLICATES - start)) for start in range(0, REPLICATES, _AT_ONCE)
    ]
    drawn = np.concatenate(parts)
    drawn = drawn[~np.isnan(drawn)]
    tail = 100 * (1 - confidence) / 2
    low, high = np.percentile(drawn, (tail, 100 - tail))
    if not np.ptp(drawn):  # every prompt differs alike: resampling shows no spread
        low, high = constant_difference(delta, int(max(found.any(axis=0).sum() for found in counted)), confidence)
    smaller = min(int((drawn <= 1e-12).sum()), int((drawn >= -1e-12).sum()))
    return HierarchicalDelta(delta, float(low), float(high), min(1.0, 2 * (smaller + 1) / (drawn.size + 1)))


def _replicates(rng: np.random.Generator, filled: Sequence[Matrix], weights: Sequence[Matrix], times: int) -> Vector:
    """Means of `times` replicates; NaN where one drew no prompt that counts."""
    import numpy as np

    prompts = filled[0].shape[1]
    drawn = rng.multinomial(prompts, np.full(prompts, 1 / prompts), size=times).astype(np.float64)
    means = []
    for x, w in zip(filled, weights, strict=True):
        seeds = len(x)
        take = np.ones((times, 1))
        if seeds > 1:
            take = rng.multinomial(seeds - 1, np.full(seeds, 1 / seeds), size=times).astype(np.float64)
        sums, counts = (((take @ m) * drawn).sum(axis=1) for m in (x, w))
        means.append(np.divide(sums, counts, out=np.full(times, np.nan), where=counts > 0))
    found: Vector = np.mean(means, axis=0)
    return found


def spread(bases: Sequence[Matrix]) -> Spread:
    """How much bases, seeds and prompts make the difference vary.

    Args:
        bases: as for `hierarchical_delta`.
    """
    import numpy as np

    by_seed = [[float(np.nanmean(seed)) for seed in base if not np.isnan(seed).all()] for base in bases]
    means = [float(np.mean(found)) for found in by_seed if found]
    within = [(np.var(found, ddof=1), len(found) - 1) for found in by_seed if len(found) > 1]
    degrees = sum(n for _, n in within)
    stacked = np.concatenate(list(bases))
    of_prompts = _column_means(stacked)
    return Spread(
        bases=float(np.std(means, ddof=1)) if len(means) > 1 else float("nan"),
        seeds=float(np.sqrt(sum(v * n for v, n in within) / degrees)) if degrees else float("nan"),
        prompts=float(np.std(of_prompts, ddof=1) / np.sqrt(of_prompts.size)) if of_prompts.size > 1 else float("nan"),
    )


def _column_means(x: Matrix) -> Vector:
    """Each prompt's mean over the rows that have it; prompts that none has are left out."""
    import numpy as np

    counts = (~np.isnan(x)).sum(axis=0)
    means: Vector = np.where(np.isnan(x), 0.0, x).sum(axis=0)[counts > 0] / counts[counts > 0]
    return means
