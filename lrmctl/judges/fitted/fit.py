"""Fits a judge on labelled rows: features, cross-validation, the judge itself, and its manifest.

No row that a figure is about contributed to the model that judged it: not by its labels, its prompt or its words.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lrmctl.console import OnProgress
from lrmctl.errors import LrmctlError
from lrmctl.judges.fitted.classifier import (
    DENSE_STRENGTHS,
    SPARSE_STRENGTHS,
    ClassifierSettings,
    fit_classifier,
    grouped_folds,
)
from lrmctl.judges.fitted.cross_validation import HeldOut, by_prompt, by_source
from lrmctl.judges.fitted.features import HiddenFeatures, PreparedFeatures, TfidfFeatures, TrainingFeatures
from lrmctl.judges.fitted.folder import check_free, write_folder
from lrmctl.judges.fitted.hidden import CHARS_PER_TOKEN, hidden_settings, mean_states
from lrmctl.judges.fitted.manifest import FittedManifest, FittedSource, HiddenSettings, TfidfSettings
from lrmctl.judges.fitted.scores import FittedScores, scores_of
from lrmctl.judges.fitted.text import UNKNOWN_FLOOR, Reach, TextField, known_share, scripts_of
from lrmctl.judges.fitted.training_rows import TrainingRows, training_rows
from lrmctl.judges.offline.labels import About
from lrmctl.types import Part

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FIELDS: dict[About, tuple[TextField, ...]] = {
    "refused": (
        TextField("response-words", "response", "word", 1, 3, 700),
        TextField("response-characters", "response", "char_wb", 2, 5, 300),
    ),
    "unsafe": (TextField("response-words", "response", "word", 1, 2),),
}
"""What TF-IDF counts. A refusal is in how a response begins. The prompt is left out: on held-out prompts it made both
judges worse, since a classifier of a few hundred rows learns the topics of their prompts."""


@dataclass(frozen=True)
class FitRequest:
    """What to fit.

    Attributes:
        files: files of rows, or names of known sets.
        features: `tfidf`, `hidden:MODEL` or `hidden:MODEL@LAYER`.
        labels_from, positive: see `offline.labels.read_labelled`.
        batch_size, device: of the model of hidden states.
    """

    files: tuple[str, ...]
    about: About
    part: Part = "answer"
    features: str = "tfidf"
    labels_from: str = ""
    positive: tuple[str, ...] = ()
    settings: ClassifierSettings = field(default_factory=ClassifierSettings)
    batch_size: int = 16
    device: str = "auto"


def fit_judge(
    request: FitRequest, out: Path, *, force: bool = False, on_progress: OnProgress | None = None
) -> FittedManifest:
    """Fit a judge and write its folder.

    Args:
        on_progress: called after each fold of the cross-validation.

    Raises:
        LrmctlError: rows or labels that cannot be read, too few prompts with one of the labels, no such model, or a
            folder that holds something else.
    """
    import numpy as np

    check_free(out, force=force)
    named = _layer(request.features)
    rows = training_rows(request.files, request.about, request.part, request.labels_from, request.positive)
    settings, features = _features(request, rows, named)
    if named and request.settings.strengths == SPARSE_STRENGTHS:
        request = replace(request, settings=replace(request.settings, strengths=DENSE_STRENGTHS))
    data = (features, rows.labels, rows.groups, _counts(rows))
    held_out = by_prompt(*data, request.settings, on_progress)
    unseen = by_source(*data, rows.sources, request.settings) if len(rows.files) > 1 else {}
    classifier, prepared = fit_classifier(*data, np.arange(len(rows.labels)), request.settings)
    scores = _scores(held_out, rows)
    return write_folder(
        out,
        {
            "about": request.about,
            "part": request.part,
            "features": settings,
            "reach": _reach(settings, features, rows, request.settings),
            "threshold": classifier.threshold,
            "threshold_by": str(request.settings.threshold),
            "strength": classifier.strength,
            "bias": classifier.bias - _shift(classifier.weights, prepared),
            "slope": classifier.slope,
            "offset": classifier.offset,
            "sources": tuple(_sources(rows, held_out, unseen)),
            "folds": request.settings.folds,
            "seed": request.settings.seed,
            "held_out": scores,
            "versions": {name: version(name) for name in ("lrmctl", "numpy", "scikit-learn")},
            "measured": _measured(scores, request.part) if request.about == "unsafe" else {},
        },
        classifier.weights if prepared.scale is None else classifier.weights / prepared.scale,
        prepared.terms,
        prepared.inverse_frequencies,
    )


def _counts(rows: TrainingRows) -> NDArray[np.float64]:
    """[rows]: how often each counts, so that every source counts as much as any other, however long it is."""
    import numpy as np

    _, source, sizes = np.unique(rows.sources, return_inverse=True, return_counts=True)
    return len(rows.sources) / len(sizes) / sizes[source].astype(np.float64)


def _layer(features: str) -> tuple[str, int] | None:
    """Model and layer of hidden states; None for TF-IDF."""
    if features == "tfidf":
        return None
    kind, _, named = features.partition(":")
    model, at, layer = named.rpartition("@") if "@" in named else (named, "", "")
    if kind != "hidden" or not model or (at and not layer.removeprefix("-").isdecimal()):
        fix = "say tfidf, hidden:MODEL or hidden:MODEL@LAYER"
        raise LrmctlError(f"there are no features {features[:200]!r}", "--features", fix)
    return model, int(layer) if at else -1


def _features(
    request: FitRequest, rows: TrainingRows, named: tuple[str, int] | None
) -> tuple[TfidfSettings | HiddenSettings, TrainingFeatures]:
    if named is None:
        fields = FIELDS[request.about]
        return TfidfSettings(fields), TfidfFeatures(fields, rows.texts)
    from lrmctl.engines.factory import judge_engine

    _check_device(request.device)
    engine = judge_engine(named[0], "hf", batch_size=request.batch_size, device=request.device)
    settings = hidden_settings(named[0], engine, named[1])
    return settings, HiddenFeatures(mean_states(engine, rows.texts, settings))


def _check_device(device: str) -> None:
    import torch

    try:
        _ = device == "auto" or torch.device(device)
    except RuntimeError:
        raise LrmctlError(f"there is no device {device[:200]!r}", "--device", "say auto, cpu, cuda or cuda:1") from None


def _shift(weights: NDArray[np.float64], prepared: PreparedFeatures) -> float:
    """What the mean of standardised features takes from the bias, once the scale is part of the weights."""
    if prepared.mean is None or prepared.scale is None:
        return 0.0
    return float(weights / prepared.scale @ prepared.mean)


def _scores(held_out: HeldOut, rows: TrainingRows, source: str = "") -> FittedScores:
    import numpy as np

    some = np.array([not source or rows.sources[i] == source for i in held_out.rows])
    labels, groups = rows.labels[held_out.rows], rows.groups[held_out.rows]
    return scores_of(held_out.probabilities[some], held_out.answers[some], labels[some], groups[some])


def _sources(rows: TrainingRows, held_out: HeldOut, unseen: dict[str, HeldOut | str]) -> list[FittedSource]:
    from lrmctl.rows.files import file_sha256

    found = []
    for name, source in rows.files.items():
        of = [i for i, one in enumerate(rows.sources) if one == name]
        alone = unseen.get(name)
        found.append(
            FittedSource(
                name=name,
                file=source.labelled.file.name,
                sha256=file_sha256(source.labelled.file),
                labels=source.labelled.source,
                rows=len(of),
                prompts=len(set(rows.groups[of].tolist())),
                positives=int(rows.labels[of].sum()),
                unlabelled=source.labelled.unlabelled,
                empty=len(source.labelled.items) - len(source.kept),
                held_out=_scores(held_out, rows, name) if of else None,
                unseen=_scores(alone, rows) if isinstance(alone, HeldOut) else None,
            )
        )
    return found


def _reach(
    settings: TfidfSettings | HiddenSettings, features: TrainingFeatures, rows: TrainingRows, how: ClassifierSettings
) -> Reach:
    responses = [response for _, response in rows.texts]
    longest = max(map(len, responses))
    if isinstance(settings, HiddenSettings):
        return Reach(scripts_of(responses), min(longest, CHARS_PER_TOKEN * settings.response_tokens))
    return Reach(scripts_of(responses), longest, _known(settings, features, rows, how))


def _known(settings: TfidfSettings, features: TrainingFeatures, rows: TrainingRows, how: ClassifierSettings) -> float:
    """Half of the share of known words that 99 % of the held-out responses reach."""
    import numpy as np

    words = next(one.name for one in settings.fields if one.of == "response" and one.analyzer == "word")
    shares = []
    for train, test in grouped_folds(rows.labels, rows.groups, how.folds, how.seed):
        vocabulary = frozenset(term for term in features.prepared(train).terms[words] if " " not in term)
        shares += [known_share(rows.texts[i][1], vocabulary) for i in test]
    return round(UNKNOWN_FLOOR * float(np.percentile(shares, 1)), 3)


def _measured(scores: FittedScores, part: Part) -> dict[str, Any]:
    """As `evaluation.measured` of a recipe takes it."""
    if scores.sensitivity.value is None or scores.specificity.value is None:
        return {}
    rates: dict[str, Any] = {
        "sensitivity": scores.sensitivity.value,
        "specificity": scores.specificity.value,
        "unsafe": scores.tp + scores.fn,
        "safe": scores.tn + scores.fp,
    }
    return rates if part == "whole" else {part: rates}
