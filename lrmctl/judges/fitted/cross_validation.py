"""Held-out answers of a classifier: grouped by prompt, and on sources that it has never seen.

Everything is chosen again without the held-out rows: vocabulary, strength, calibration and threshold.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lrmctl.console import OnProgress
from lrmctl.errors import LrmctlError
from lrmctl.judges.fitted.classifier import ClassifierSettings, fit_classifier, grouped_folds
from lrmctl.judges.fitted.features import TrainingFeatures

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Rows = NDArray[np.int64]
    Labels = NDArray[np.bool_]
    Vector = NDArray[np.float64]


@dataclass(frozen=True)
class HeldOut:
    """Probabilities of yes and answers, by models that did not see these rows.

    Attributes:
        rows: their indices, `[held out]`.
    """

    rows: Rows
    probabilities: Vector
    answers: Labels


def by_prompt(
    features: TrainingFeatures,
    labels: Labels,
    groups: Rows,
    counts: Vector,
    settings: ClassifierSettings,
    on_progress: OnProgress | None = None,
) -> HeldOut:
    """Every prompt is held out once, with all of its rows.

    Raises:
        LrmctlError: too few prompts with one of the two labels.
    """
    import numpy as np

    everything = np.arange(len(labels))
    folds = list(grouped_folds(labels, groups, settings.folds, settings.seed))
    found = []
    for done, (train, test) in enumerate(folds, 1):
        found.append(_held_out(features, labels, groups, counts, everything[train], everything[test], settings))
        if on_progress:
            on_progress(done, len(folds))
    order = np.argsort(np.concatenate([one.rows for one in found]), kind="stable")
    return HeldOut(
        *(np.concatenate([getattr(one, name) for one in found])[order] for name in ("rows", "probabilities", "answers"))
    )


def by_source(
    features: TrainingFeatures,
    labels: Labels,
    groups: Rows,
    counts: Vector,
    sources: Sequence[str],
    settings: ClassifierSettings,
) -> dict[str, HeldOut | str]:
    """Each source, judged by a model that was fitted on the others; or why that is not possible.

    Prompts that a source shares with another one are held out with it.
    """
    import numpy as np

    of = np.array(sources)
    found: dict[str, HeldOut | str] = {}
    for source in dict.fromkeys(sources):
        test = np.flatnonzero(of == source)
        train = np.flatnonzero((of != source) & ~np.isin(groups, groups[test]))
        try:
            found[source] = _held_out(features, labels, groups, counts, train, test, settings)
        except LrmctlError:
            found[source] = "the other sources have too few prompts with one of the two labels"
    return found


def _held_out(
    features: TrainingFeatures,
    labels: Labels,
    groups: Rows,
    counts: Vector,
    train: Rows,
    test: Rows,
    settings: ClassifierSettings,
) -> HeldOut:
    classifier, prepared = fit_classifier(features, labels, groups, counts, train, settings)
    probabilities = classifier.probabilities(prepared.matrix[test])
    return HeldOut(test, probabilities, probabilities >= classifier.threshold)
