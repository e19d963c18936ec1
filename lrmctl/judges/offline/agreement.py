"""How well yes-or-no answers agree with labels: rates with 95 % intervals. Numbers only: no judges, no files.

Proportions have Wilson intervals. Cohen's kappa has the large-sample interval of Fleiss, Cohen and Everitt (1969), by
statsmodels; F1 has the percentile bootstrap over rows. If rows never disagree these two have no interval: one of zero
width would claim too much.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

RESAMPLES = 10_000
_SEED = 20240229


@dataclass(frozen=True)
class Confusion:
    """Counts of rows by answer and label: true and false positives, false and true negatives."""

    tp: int = 0
    fp: int = 0
    fn: int = 0
    tn: int = 0

    @property
    def n(self) -> int:
        return self.tp + self.fp + self.fn + self.tn


class AgreementRate(NamedTuple):
    """A value with its 95 % interval; None is what these counts cannot give. `n`: number of rows."""

    value: float | None
    low: float | None
    high: float | None
    n: int


def confusion(answers: Iterable[bool], labels: Iterable[bool]) -> Confusion:
    """Counts of answers and labels of equal length."""
    pairs = list(zip(answers, labels, strict=True))
    tp, fp, fn = (pairs.count(pair) for pair in ((True, True), (True, False), (False, True)))
    return Confusion(tp, fp, fn, len(pairs) - tp - fp - fn)


def agreement(c: Confusion) -> dict[str, AgreementRate]:
    """Accuracy, precision, recall (which is sensitivity), specificity, false-positive rate, F1 and Cohen's kappa."""
    return {
        "accuracy": proportion(c.tp + c.tn, c.n),
        "precision": proportion(c.tp, c.tp + c.fp),
        "recall": proportion(c.tp, c.tp + c.fn),
        "sensitivity": proportion(c.tp, c.tp + c.fn),
        "specificity": proportion(c.tn, c.tn + c.fp),
        "false_positive_rate": proportion(c.fp, c.tn + c.fp),
        "f1": _f1(c),
        "kappa": _kappa(c),
    }


def proportion(count: int, n: int) -> AgreementRate:
    """A proportion with its Wilson interval."""
    import numpy as np

    from lrmctl.stats import interval

    if not n:
        return AgreementRate(None, None, None, 0)
    return AgreementRate(count / n, *interval(np.repeat((1.0, 0.0), (count, n - count)), 1), n)


def _f1(c: Confusion) -> AgreementRate:
    """2 tp / (2 tp + fp + fn); a resampled table is a draw from the multinomial of the cells."""
    import numpy as np

    if not c.tp + c.fp + c.fn:
        return AgreementRate(None, None, None, c.n)
    value = 2 * c.tp / (2 * c.tp + c.fp + c.fn)
    if not c.tp or not c.fp + c.fn:
        return AgreementRate(value, None, None, c.n)
    cells = np.array([c.tp, c.fp, c.fn, c.tn]) / c.n
    tp, fp, fn, _ = np.random.default_rng(_SEED).multinomial(c.n, cells, size=RESAMPLES).T
    some = tp + fp + fn > 0
    low, high = np.percentile(2 * tp[some] / (2 * tp + fp + fn)[some], (2.5, 97.5))
    return AgreementRate(value, float(low), float(high), c.n)


def _kappa(c: Confusion) -> AgreementRate:
    import warnings

    from statsmodels.stats.inter_rater import cohens_kappa

    if not c.n:
        return AgreementRate(None, None, None, 0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # with a single class: 0 / 0, which is handled below
        found = cohens_kappa([[c.tp, c.fp], [c.fn, c.tn]])
    if not math.isfinite(found.kappa):
        return AgreementRate(None, None, None, c.n)
    low, high = float(found.kappa_low), float(found.kappa_upp)
    if not low < high:
        return AgreementRate(float(found.kappa), None, None, c.n)
    return AgreementRate(float(found.kappa), max(-1.0, low), min(1.0, high), c.n)
