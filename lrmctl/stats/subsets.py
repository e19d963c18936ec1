"""Estimates, from n samples, of the chance that all or any of k samples are good.

Unbiased: averages over every choice of k of the n samples (Chen et al. 2021, arXiv 2107.03374, for pass@k).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]


def all_of_k(good: Any, n: Any, k: int) -> Vector:
    """Chance that k of a prompt's n samples are all good: C(good, k) / C(n, k).

    Computed as a product of k factors, which does not overflow for any n.

    Args:
        good, n: [prompts], numbers of good samples and of samples; k >= 1.

    Returns:
        [prompts], NaN where a prompt has fewer than k samples.
    """
    import numpy as np

    good, n = np.asarray(good, dtype=np.float64), np.asarray(n, dtype=np.float64)
    chance: Vector = np.where(n >= k, 1.0, np.nan)
    for i in range(k):
        chance *= np.maximum(good - i, 0.0) / np.maximum(n - i, 1.0)
    return chance


def any_of_k(good: Any, n: Any, k: int) -> Vector:
    """Chance that any of k of a prompt's n samples is good: 1 - C(n - good, k) / C(n, k). See `all_of_k`."""
    import numpy as np

    found: Vector = 1.0 - all_of_k(np.asarray(n) - np.asarray(good), n, k)
    return found
