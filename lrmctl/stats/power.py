"""Sample sizes: to plan a benchmark, and to interpret a comparison that found no difference."""

from __future__ import annotations

import math
from typing import Any


def prompts_needed(d: Any, power: float = 0.8, alpha: float = 0.05) -> int | None:
    """Number of prompts at which a paired test detects a difference like the observed one with the given power.

    n = (z_a sqrt(E[d^2]) + z_b sqrt(Var[d]))^2 / E[d]^2, two-sided, normal approximation: the null distribution of the
    sign-flip and of McNemar's test has variance E[d^2], the data have Var[d]. For one binary sample per prompt this is
    Connor (1987, Biometrics 43, 207-211). At least so many prompts must differ that the smallest p, 2 / 2^n, is at
    most alpha. The observed difference is itself uncertain, and so is n.

    Args:
        d: [prompts], b - a of each prompt's means; NaN is left out.

    Returns:
        None if there is no difference to detect, or no prompt.
    """
    import numpy as np
    from scipy.special import ndtri

    d = np.asarray(d, dtype=np.float64)
    d = d[~np.isnan(d)]
    if not d.size or abs(delta := float(d.mean())) < 1e-12:
        return None
    square = float((d**2).mean())
    both: float = ndtri(1 - alpha / 2) * math.sqrt(square) + ndtri(power) * math.sqrt(max(0.0, square - delta**2))
    fewest = math.ceil(math.log2(2 / alpha)) / float((d != 0).mean())
    return math.ceil(max(both**2 / delta**2, fewest) - 1e-9)


def prompts_needed_unpaired(a: float, b: float, power: float = 0.8, alpha: float = 0.05) -> int | None:
    """Prompts in each of two groups at which a two-sided z test detects the difference between rates `a` and `b`.

    2 ((z_a + z_b) / h)^2 with h = 2 asin(sqrt(b)) - 2 asin(sqrt(a)) (Cohen 1988, section 6.4), one sample per prompt.

    Returns:
        None if the rates are equal.
    """
    from scipy.special import ndtri

    h = 2 * (math.asin(math.sqrt(b)) - math.asin(math.sqrt(a)))
    if abs(h) < 1e-12:
        return None
    return math.ceil(2 * (float(ndtri(1 - alpha / 2) + ndtri(power)) / h) ** 2)
