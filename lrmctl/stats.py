"""Intervals and paired tests over prompts, on scipy and statsmodels. Knows numbers only: no traces, no files.

The unit of resampling is always the PROMPT, never a pooled prompt x sample row: samples of one prompt resemble each
other, so pooling them makes every interval too narrow. Seeds are fixed, so a number is the same on every machine.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]

RESAMPLES = 2_000
PERMUTATIONS = 9_999
_SEED = 20240229


class PairedDelta(NamedTuple):
    """Change from `a` to `b` on the same prompts: mean of b - a, its 95 % interval, and a two-sided p value."""

    delta: float
    low: float
    high: float
    p: float


def prompt_means(values: Vector) -> Vector:
    """Mean over samples of each prompt. NaN marks a sample that does not count; a prompt without any stays NaN.

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

    Wilson for one yes-or-no sample a prompt; else the BCa bootstrap (Efron 1987) over prompts. Data that do not
    vary tell a bootstrap nothing: a constant rate falls back to Wilson over prompts, as does a NaN of BCa.

    Args:
        per_prompt: [prompts], each prompt's mean over its samples; NaN where a prompt has none that counts.
        k: samples a prompt.

    Returns:
        (low, high); NaN both if no prompt counts.
    """
    import numpy as np

    x = np.asarray(per_prompt, dtype=np.float64)
    x = x[~np.isnan(x)]
    if not x.size:
        return float("nan"), float("nan")
    binary = bool(np.isin(x, (0.0, 1.0)).all())
    if binary and k == 1:
        return _wilson(x, confidence)
    if np.ptp(x) == 0:
        return _constant(x, confidence)
    low, high = _bca(x, confidence)
    return (low, high) if np.isfinite([low, high]).all() else _constant(x, confidence)


def paired_delta(a: Vector, b: Vector, *, confidence: float = 0.95) -> PairedDelta:
    """How `b` differs from `a` on the same prompts: mean(b - a), bootstrap interval, permutation p.

    Prompts that lack a value (NaN) on either side are left out of both. The interval is the BCa bootstrap over
    prompts; p is the sign-flip permutation test of the differences (add-one estimate, so never 0).

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
    d = d[~np.isnan(d)]
    if not d.size:
        return PairedDelta(float("nan"), float("nan"), float("nan"), float("nan"))
    delta = float(d.mean())
    if not d.any():
        return PairedDelta(0.0, 0.0, 0.0, 1.0)
    low, high = _bca(d, confidence) if np.ptp(d) else (delta, delta)
    if not np.isfinite([low, high]).all():
        low, high = _percentile(d, confidence)
    return PairedDelta(delta, low, high, _sign_flip_p(d))


def _wilson(x: Vector, confidence: float) -> tuple[float, float]:
    from statsmodels.stats.proportion import proportion_confint

    low, high = proportion_confint(float(x.sum()), x.size, alpha=1 - confidence, method="wilson")
    mean = float(x.mean())  # at 0 and 1 it is a bound itself, which rounding misses by 1e-17
    return min(max(0.0, float(low)), mean), max(min(1.0, float(high)), mean)


def _constant(x: Vector, confidence: float) -> tuple[float, float]:
    """Wilson over prompts for a rate; a quantity that is no rate (token counts) has only its value."""
    if x.min() >= 0.0 and x.max() <= 1.0:
        return _wilson(x, confidence)
    return float(x.mean()), float(x.mean())


def _bootstrap(x: Vector, confidence: float, method: str) -> tuple[float, float]:
    import warnings

    import numpy as np
    from scipy.stats import bootstrap

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scipy warns where BCa degenerates; the caller looks at the NaN
        found = bootstrap(
            (x,),
            np.mean,
            n_resamples=RESAMPLES,
            method=method,
            vectorized=True,
            confidence_level=confidence,
            rng=np.random.default_rng(_SEED),
        ).confidence_interval
    return float(found.low), float(found.high)


def _bca(x: Vector, confidence: float) -> tuple[float, float]:
    return _bootstrap(x, confidence, "BCa")


def _percentile(x: Vector, confidence: float) -> tuple[float, float]:
    return _bootstrap(x, confidence, "percentile")


def _sign_flip_p(d: Vector) -> float:
    import numpy as np
    from scipy.stats import permutation_test

    found = permutation_test(
        (d,),
        np.mean,
        permutation_type="samples",
        vectorized=True,
        n_resamples=PERMUTATIONS,
        rng=np.random.default_rng(_SEED),
    )
    return float(found.pvalue)
