"""How good held-out probabilities are: agreement, Brier score, calibration error; 95 % intervals over prompts.

Intervals are percentile bootstraps that resample prompts with all of their rows. Numbers only: no text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import Struct

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Rows = NDArray[np.int64]
    Labels = NDArray[np.bool_]
    Vector = NDArray[np.float64]

RESAMPLES = 2_000
BINS = 10
"""Bins of the calibration error, with equally many rows."""
_SEED = 20240229
_FIGURES = ("kappa", "balanced_accuracy", "sensitivity", "specificity", "brier", "calibration_error")


class ScoredFigure(Struct, frozen=True, forbid_unknown_fields=True):
    """A figure with its 95 % interval; None is what these rows cannot give."""

    value: float | None
    low: float | None
    high: float | None


class FittedScores(Struct, frozen=True, forbid_unknown_fields=True):
    """Figures of held-out rows.

    Attributes:
        tp, fp, fn, tn: rows by answer and label.
        brier: mean squared error of the probability.
        calibration_error: mean distance between probability and share of yes, over bins of equally many rows.
    """

    rows: int
    prompts: int
    positives: int
    tp: int
    fp: int
    fn: int
    tn: int
    kappa: ScoredFigure
    balanced_accuracy: ScoredFigure
    sensitivity: ScoredFigure
    specificity: ScoredFigure
    brier: ScoredFigure
    calibration_error: ScoredFigure


def scores_of(probabilities: Vector, answers: Labels, labels: Labels, groups: Rows) -> FittedScores:
    """Figures of the rows.

    Args:
        probabilities, answers, labels, groups: [rows]; the group is the prompt.
    """
    import numpy as np

    sums = _sums(probabilities, answers, labels, groups)  # [prompts, numbers]
    value = _figures(sums.sum(axis=0)[None])[:, 0]
    draws = np.random.default_rng(_SEED).multinomial(len(sums), np.full(len(sums), 1 / len(sums)), size=RESAMPLES)
    resampled = _figures(draws.astype(float) @ sums)
    figures = {name: _figure(*pair) for name, *pair in zip(_FIGURES, value, resampled, strict=True)}
    tp, fp, fn, tn = (int(n) for n in sums[:, :4].sum(axis=0))
    return FittedScores(len(labels), len(sums), int(labels.sum()), tp, fp, fn, tn, **figures)


def _sums(probabilities: Vector, answers: Labels, labels: Labels, groups: Rows) -> Vector:
    """By prompt: tp, fp, fn, tn, squared error, then in each bin the probability less the label.

    All figures follow from sums of these, so that a resample of prompts is one matrix product.
    """
    import numpy as np

    cells = [answers & labels, answers & ~labels, ~answers & labels, ~answers & ~labels]
    place = np.argsort(np.argsort(probabilities, kind="stable"), kind="stable")
    bins = place * min(BINS, len(labels)) // len(labels)
    gap = probabilities - labels
    columns = [*(cell.astype(float) for cell in cells), gap**2, *(np.where(bins == i, gap, 0.0) for i in range(BINS))]
    _, group = np.unique(groups, return_inverse=True)
    found: Vector = np.zeros((int(group.max()) + 1, len(columns)))
    np.add.at(found, group, np.stack(columns, axis=1))
    return found


def _figures(sums: Vector) -> Vector:
    """[figures, resamples] of [resamples, numbers]; NaN where a class is missing."""
    import numpy as np

    tp, fp, fn, tn, squared = sums[:, :5].T
    n = tp + fp + fn + tn
    with np.errstate(divide="ignore", invalid="ignore"):
        sensitivity, specificity = tp / (tp + fn), tn / (tn + fp)
        chance = ((tp + fp) * (tp + fn) + (fn + tn) * (fp + tn)) / n**2
        kappa = ((tp + tn) / n - chance) / (1 - chance)
        balanced = (sensitivity + specificity) / 2
    found: Vector = np.stack(
        [kappa, balanced, sensitivity, specificity, squared / n, np.abs(sums[:, 5:]).sum(axis=1) / n]
    )
    return found


def _figure(value: Any, resampled: Vector) -> ScoredFigure:
    import numpy as np

    some = resampled[np.isfinite(resampled)]
    if not np.isfinite(value):
        return ScoredFigure(None, None, None)
    if len(some) < RESAMPLES / 2 or some.min() == some.max():  # an interval of zero width would claim too much
        return ScoredFigure(float(value), None, None)
    low, high = np.percentile(some, (2.5, 97.5))
    return ScoredFigure(float(value), float(low), float(high))
