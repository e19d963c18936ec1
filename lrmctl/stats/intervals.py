"""Means over prompts and their intervals: Wilson, and a bootstrap of the mean with bounded memory.

A general bootstrap (scipy.stats.bootstrap) holds every resample, and for BCa every jackknife sample: n * n numbers,
5 GB for 25,000 prompts. For a mean, counts of each distinct value suffice, and there are few distinct values.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]

RESAMPLES = 2_000
SEED = 20240229
FEW = 64
"""With at most this many distinct values, a resample is drawn as counts of each value."""
AT_ONCE = 4_000_000
"""Resampled numbers held in memory at the same time."""


def prompt_means(values: Vector) -> Vector:
    """Mean over the samples of each prompt. NaN samples are ignored; a prompt with only NaN stays NaN.

    Args:
        values: [prompts, samples], NaN where a sample has no value.

    Returns:
        [prompts].
    """
    import numpy as np

    counted = ~np.isnan(values)
    sums = np.where(counted, values, 0.0).sum(axis=1)
    n = counted.sum(axis=1)
    means: Vector = np.where(n > 0, sums / np.maximum(n, 1), np.nan)
    return means


def interval(per_prompt: Vector, k: int, *, confidence: float = 0.95) -> tuple[float, float]:
    """Confidence interval of the mean over prompts.

    Wilson for one binary sample per prompt; else the BCa bootstrap (Efron 1987) over prompts. A bootstrap of constant
    data has zero width, so a constant rate falls back to Wilson over prompts, as does a NaN from BCa.

    Args:
        per_prompt: [prompts], each prompt's mean over its samples; NaN where a prompt has no valid sample.
        k: samples per prompt.

    Returns:
        (low, high); both NaN if no prompt has a value.
    """
    import numpy as np

    x = np.asarray(per_prompt, dtype=np.float64)
    x = x[~np.isnan(x)]
    if not x.size:
        return float("nan"), float("nan")
    if k == 1 and bool(np.isin(x, (0.0, 1.0)).all()):
        return wilson(float(x.sum()), x.size, confidence)
    if np.ptp(x) == 0:
        return _constant(x, confidence)
    low, high = bca(x, confidence)
    return (low, high) if math.isfinite(low) and math.isfinite(high) else _constant(x, confidence)


def wilson(successes: float, n: float, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval (1927) of a proportion; counts may be fractional."""
    from scipy.special import ndtri

    z = float(ndtri((1 + confidence) / 2))
    share, extra = float(successes / n), float(z * z / n)
    spread = math.sqrt(extra * share * (1 - share) + extra * extra / 4)
    low, high = ((share + extra / 2 + side * spread) / (1 + extra) for side in (-1, 1))
    return min(max(0.0, low), share), max(min(1.0, high), share)  # at 0 and 1 the share itself is a bound


def _constant(x: Vector, confidence: float) -> tuple[float, float]:
    """Wilson over prompts for a rate; other quantities (token counts) get a zero-width interval."""
    if x.min() >= 0.0 and x.max() <= 1.0:
        return wilson(float(x.sum()), x.size, confidence)
    return float(x.mean()), float(x.mean())


def bca(x: Vector, confidence: float = 0.95) -> tuple[float, float]:
    """Bias-corrected and accelerated bootstrap interval of the mean (Efron 1987), [prompts] without NaN.

    The acceleration of a mean has a closed form, sum(u^3) / (6 sum(u^2)^1.5) with u the deviations from the mean, equal
    to that of the jackknife (Efron and Tibshirani 1993, 14.15). NaN for constant data.
    """
    import numpy as np
    from scipy.special import ndtr, ndtri

    means, mean = resampled_means(x), float(x.mean())
    u = x - mean
    if not (spread := float((u**2).sum())):
        return float("nan"), float("nan")
    a = float((u**3).sum()) / (6 * spread**1.5)
    below = (np.sum(means < mean - 1e-12) + np.sum(means <= mean + 1e-12)) / (2 * means.size)  # ties count half
    z0 = float(ndtri(below))
    shifted = [z0 + float(ndtri(q)) for q in _tails(confidence)]
    low, high = (float(ndtr(z0 + z / (1 - a * z))) for z in shifted)
    return _percentiles(means, low, high)


def percentile(x: Vector, confidence: float = 0.95) -> tuple[float, float]:
    """Percentile bootstrap interval of the mean, [prompts] without NaN."""
    return _percentiles(resampled_means(x), *_tails(confidence))


def resampled_means(x: Vector) -> Vector:
    """Means of `RESAMPLES` draws of all prompts with replacement: [resamples]."""
    import numpy as np

    rng = np.random.default_rng(SEED)
    values, counts = np.unique(x, return_counts=True)
    if values.size <= FEW:
        means: Vector = rng.multinomial(x.size, counts / x.size, size=RESAMPLES) @ values / x.size
        return means
    step = max(1, AT_ONCE // x.size)
    parts = [_drawn(rng, x, min(step, RESAMPLES - start)) for start in range(0, RESAMPLES, step)]
    return np.concatenate(parts)


def _drawn(rng: np.random.Generator, x: Vector, times: int) -> Any:
    import numpy as np

    return x[rng.integers(x.size, size=(times, x.size), dtype=np.int32)].mean(axis=1)


def _tails(confidence: float) -> tuple[float, float]:
    return (1 - confidence) / 2, (1 + confidence) / 2


def _percentiles(means: Vector, low: float, high: float) -> tuple[float, float]:
    import numpy as np

    if not (math.isfinite(low) and math.isfinite(high)):
        return float("nan"), float("nan")
    bounds = np.percentile(means, (100 * low, 100 * high))
    return float(bounds[0]), float(bounds[1])
