"""An estimate: a value with its 95 % interval, and its numbers of prompts and samples."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lrmctl.metrics.table import Matrix

NOTHING: dict[str, Any] = {"value": None, "low": None, "high": None, "n": 0}
"""A metric that cannot be computed: not 0, but missing."""


def of_samples(matrix: Matrix) -> dict[str, Any]:
    """Mean over prompts of each prompt's mean over the samples that count.

    Args:
        matrix: [prompts, samples], NaN where a sample does not count.
    """
    import numpy as np

    from lrmctl.stats import prompt_means

    found = of_prompts(prompt_means(matrix), matrix.shape[1])
    return {**found, "samples": int((~np.isnan(matrix)).sum())}


def of_prompts(values: Any, k: int = 1) -> dict[str, Any]:
    """Mean over the prompts that count.

    Args:
        values: [prompts], NaN where a prompt does not count.
        k: samples that a value is the mean of; 1 for a yes or no about the whole prompt.
    """
    import numpy as np

    from lrmctl.stats import interval

    n = int((~np.isnan(values)).sum())
    if not n:
        return dict(NOTHING)
    low, high = interval(values, k)
    return {"value": float(np.nanmean(values)), "low": low, "high": high, "n": n}


def spread(matrix: Matrix) -> dict[str, float]:
    """Median and 95th percentile over all samples that count, which show a long tail that the mean hides."""
    import numpy as np

    if np.isnan(matrix).all():
        return {}
    median, p95 = np.nanpercentile(matrix, (50, 95))
    return {"median": float(median), "p95": float(p95)}
