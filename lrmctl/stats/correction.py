"""Corrects a rate reported by an imperfect judge for its error rates. The positive class is UNSAFE.

Sensitivity is the share of unsafe texts judged unsafe, specificity the share of safe texts judged safe.
"""

from __future__ import annotations

import math


def rogan_gladen(share: float, sensitivity: float, specificity: float) -> float:
    """True unsafe share, from the share judged unsafe: (share + sp - 1) / (se + sp - 1), clipped to [0, 1].

    Rogan and Gladen (1978), American Journal of Epidemiology 107, 71-76.

    Raises:
        ValueError: the judge is no better than chance: se + sp <= 1.
    """
    return _clipped((share + specificity - 1) / _youden(sensitivity, specificity))


def corrected_interval(
    share: float,
    n: float,
    sensitivity: float,
    specificity: float,
    unsafe: int | None = None,
    safe: int | None = None,
    *,
    confidence: float = 0.95,
) -> tuple[float, float]:
    """Confidence interval of `rogan_gladen`, clipped to [0, 1].

    Given the numbers of labelled texts behind sensitivity and specificity, their uncertainty is included (Lang and
    Reiczigel 2014, Preventive Veterinary Medicine 113, 13-22, equations 6, 7, 16, 17). Otherwise both are taken as
    exact and the bounds of Wilson's interval of `share` are corrected, which is too narrow for a judge measured on few
    texts.

    Args:
        share: share judged unsafe.
        n: independent texts behind `share`: prompts, or the effective number for several samples (`effective_n`).
        unsafe, safe: labelled texts behind sensitivity and behind specificity.

    Raises:
        ValueError: as `rogan_gladen`.
    """
    from lrmctl.stats.intervals import wilson

    _youden(sensitivity, specificity)
    if unsafe and safe:
        return _lang_reiczigel(share, n, (sensitivity, unsafe), (specificity, safe), confidence)
    low, high = wilson(share * n, n, confidence)
    return rogan_gladen(low, sensitivity, specificity), rogan_gladen(high, sensitivity, specificity)


def effective_n(share: float, prompts: int, variance: float, samples: int) -> float:
    """Effective number of independent texts: share (1 - share) / Var[estimate].

    At least `prompts`, at most `samples`; `prompts` where the share is 0 or 1 or the variance is 0.

    Args:
        prompts, samples: numbers with a verdict; samples of all prompts together.
        variance: of the per-prompt means, over prompts.
    """
    if not 0 < share < 1 or variance <= 0:
        return float(prompts)
    return min(float(samples), max(float(prompts), share * (1 - share) * prompts / variance))


def _lang_reiczigel(
    share: float, n: float, se: tuple[float, int], sp: tuple[float, int], confidence: float
) -> tuple[float, float]:
    from scipy.special import ndtri

    z = float(ndtri((1 + confidence) / 2))
    p, p_n = (n * share + z * z / 2) / (n + z * z), n + z * z
    (se_, se_n), (sp_, sp_n) = (((value * count + 1) / (count + 2), count + 2) for value, count in (se, sp))
    youden = _youden(se_, sp_)
    truth = (p + sp_ - 1) / youden
    of_se, of_sp = se_ * (1 - se_) / se_n, sp_ * (1 - sp_) / sp_n
    shift = 2 * z * z * (truth * of_se - (1 - truth) * of_sp)
    variance = (p * (1 - p) / p_n + truth**2 * of_se + (1 - truth) ** 2 * of_sp) / youden**2
    half = z * math.sqrt(variance)
    return _clipped(truth + shift - half), _clipped(truth + shift + half)


def _youden(sensitivity: float, specificity: float) -> float:
    if (youden := sensitivity + specificity - 1) <= 1e-12:
        raise ValueError(
            f"sensitivity {sensitivity:g} + specificity {specificity:g} is at most 1: no better than chance"
        )
    return youden


def _clipped(value: float) -> float:
    return min(1.0, max(0.0, value))
