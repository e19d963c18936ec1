"""Logistic regression with its strength, calibration and threshold chosen on held-out prompts. Numbers only: no text.

For each strength the rows are scored by models that were fitted on other prompts; Platt's sigmoid is fitted to these
scores, the strength with the lowest log loss is taken, and the threshold is chosen on its calibrated probabilities.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from lrmctl.errors import LrmctlError
from lrmctl.judges.fitted.features import PreparedFeatures, TrainingFeatures

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Rows = NDArray[np.int64]
    Labels = NDArray[np.bool_]
    Vector = NDArray[np.float64]

Threshold = float | Literal["kappa", "balanced"]
"""A probability; or the one with the best kappa or balanced accuracy on held-out prompts."""
SPARSE_STRENGTHS, DENSE_STRENGTHS = (0.01, 0.1, 1.0, 10.0, 100.0), (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
"""C, the inverse strength of the L2 penalty, to choose from: for TF-IDF, and for standardised hidden states."""
_PLATT = 100.0
"""C of the sigmoid: nearly no penalty, and finite where scores separate the classes."""


@dataclass(frozen=True)
class ClassifierSettings:
    """How a classifier is fitted.

    Attributes:
        folds: parts of the prompts, each held out once; also of the folds inside folds.
        seed: of the parts.
    """

    folds: int = 5
    seed: int = 0
    threshold: Threshold = "kappa"
    strengths: tuple[float, ...] = SPARSE_STRENGTHS


@dataclass(frozen=True)
class FittedClassifier:
    """A linear classifier with calibrated probabilities: sigmoid(slope * (features @ weights + bias) + offset).

    Attributes:
        weights: [features].
        strength: C.
        threshold: yes from this probability on.
    """

    weights: Vector
    bias: float
    slope: float
    offset: float
    threshold: float
    strength: float

    def probabilities(self, matrix: Any) -> Vector:
        """[rows], of yes."""
        from scipy.special import expit

        found: Vector = expit(self.slope * (matrix @ self.weights + self.bias) + self.offset)
        return found


def grouped_folds(labels: Labels, groups: Rows, folds: int, seed: int) -> Iterator[tuple[Rows, Rows]]:
    """Indices of the rows to fit on and to hold out; no prompt is in both, and classes are spread over the parts.

    Raises:
        LrmctlError: too few prompts with one of the two labels.
    """
    import numpy as np
    from sklearn.model_selection import StratifiedGroupKFold

    fewest = min(len(set(groups[labels].tolist())), len(set(groups[~labels].tolist())))
    if fewest < 2:
        what = "there have to be at least two prompts with each of the two labels, so that one can be held out"
        raise LrmctlError(what, fix="give more rows, or check --label, --labels-from and --positive")
    folds = min(folds, fewest)
    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    for train, test in splitter.split(np.zeros(len(labels)), labels, groups):
        if len(set(labels[train].tolist())) == 2 and len(test):
            yield train, test


def fit_classifier(
    features: TrainingFeatures, labels: Labels, groups: Rows, counts: Vector, rows: Rows, settings: ClassifierSettings
) -> tuple[FittedClassifier, PreparedFeatures]:
    """Fit on some rows, with everything chosen inside them.

    Args:
        labels, groups: [all rows]; the group is the prompt.
        counts: [all rows], how often each row counts.
        rows: indices of those to fit on.

    Returns:
        The classifier, and the features of all rows.

    Raises:
        LrmctlError: too few prompts with one of the two labels.
    """
    import numpy as np

    scores = np.full((len(settings.strengths), len(rows)), np.nan)
    for train, test in grouped_folds(labels[rows], groups[rows], settings.folds, settings.seed):
        matrix = features.prepared(rows[train]).matrix
        for i, strength in enumerate(settings.strengths):
            weights, bias = _linear(matrix[rows[train]], labels[rows[train]], counts[rows[train]], strength)
            scores[i, test] = matrix[rows[test]] @ weights + bias
    known = ~np.isnan(scores[0])
    truth, often = labels[rows][known], counts[rows][known]
    sigmoids = [_platt(line[known], truth, often) for line in scores]
    calibrated = [_expit(slope * line[known] + offset) for line, (slope, offset) in zip(scores, sigmoids, strict=True)]
    losses = [_log_loss(p, truth, often) for p in calibrated]
    best = int(np.argmin(losses))
    slope, offset = sigmoids[best]
    prepared = features.prepared(rows)
    weights, bias = _linear(prepared.matrix[rows], labels[rows], counts[rows], settings.strengths[best])
    threshold = best_threshold(calibrated[best], truth, often, settings.threshold)
    return FittedClassifier(weights, bias, slope, offset, threshold, settings.strengths[best]), prepared


def best_threshold(probabilities: Vector, labels: Labels, counts: Vector, wanted: Threshold) -> float:
    """The threshold in (0, 1), halfway between two probabilities, that is best by kappa or balanced accuracy.

    Args:
        probabilities, labels, counts: [rows].
    """
    import numpy as np

    if not isinstance(wanted, str):
        return float(wanted)
    order = np.argsort(-probabilities, kind="stable")
    p, yes, no = probabilities[order], (labels * counts)[order], (~labels * counts)[order]
    tp, fp = np.cumsum(yes), np.cumsum(no)
    ends = np.flatnonzero(np.append(p[:-1] > p[1:], False))  # a cut after each group of equal probabilities
    if not len(ends):
        return 0.5
    tp, fp, n, positives = tp[ends], fp[ends], float(counts.sum()), float(yes.sum())
    fn, tn = positives - tp, n - positives - fp
    if wanted == "balanced":
        value = tp / positives + tn / (n - positives)
    else:
        agreed, chance = (tp + tn) / n, ((tp + fp) * positives + (fn + tn) * (n - positives)) / n**2
        value = (agreed - chance) / np.maximum(1 - chance, 1e-12)
    cut = ends[int(np.argmax(value))]
    return float(min(max((p[cut] + p[cut + 1]) / 2, 1e-6), 1 - 1e-6))


def _linear(matrix: Any, labels: Labels, counts: Vector, strength: float) -> tuple[Vector, float]:
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=strength, class_weight="balanced", max_iter=2000).fit(matrix, labels, counts)
    return model.coef_[0].astype(float), float(model.intercept_[0])


def _platt(scores: Vector, labels: Labels, counts: Vector) -> tuple[float, float]:
    """Slope, never below 0, and offset of the sigmoid (Platt 1999). Scores are standardised first."""
    from sklearn.linear_model import LogisticRegression

    mean, spread = float(scores.mean()), max(float(scores.std()), 1e-8)
    model = LogisticRegression(C=_PLATT).fit(((scores - mean) / spread)[:, None], labels, counts)
    slope = max(float(model.coef_[0, 0]) / spread, 0.0)
    if not slope:
        share = float(labels @ counts / counts.sum())
        return 0.0, _logit(share)
    return slope, float(model.intercept_[0]) - slope * mean


def _logit(share: float) -> float:
    from scipy.special import logit

    return float(logit(share))


def _expit(scores: Vector) -> Vector:
    from scipy.special import expit

    found: Vector = expit(scores)
    return found


def _log_loss(probabilities: Vector, labels: Labels, counts: Vector) -> float:
    import numpy as np

    p = np.clip(np.where(labels, probabilities, 1 - probabilities), 1e-12, 1)
    return float(-(np.log(p) @ counts) / counts.sum())
