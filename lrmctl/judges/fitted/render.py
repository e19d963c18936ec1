"""The manifest of a fitted judge as table rows and sentences. Knows no terminal."""

from __future__ import annotations

from collections.abc import Iterator

from lrmctl.judges.fitted.manifest import FittedManifest
from lrmctl.judges.fitted.scores import FittedScores, ScoredFigure

Table = tuple[tuple[str, ...], list[tuple[str, ...]]]
_FIGURES = {
    "kappa": "kappa",
    "balanced_accuracy": "balanced accuracy",
    "sensitivity": "sensitivity",
    "specificity": "specificity",
    "brier": "Brier",
    "calibration_error": "calibration error",
}


def scores_table(found: FittedManifest) -> Table:
    """One row a source and way of holding out: counts, and figures with 95 % intervals."""
    heads = ("rows", "n", found.about, "TP", "FP", "FN", "TN", *_FIGURES.values())
    return heads, [(name, *_cells(scores)) for name, scores in _lines(found)]


def _lines(found: FittedManifest) -> Iterator[tuple[str, FittedScores]]:
    yield "held-out prompts", found.held_out
    for source in found.sources if len(found.sources) > 1 else ():
        if source.held_out:
            yield f"{source.name}, held-out prompts", source.held_out
        if source.unseen:
            yield f"{source.name}, fitted on the others", source.unseen


def _cells(scores: FittedScores) -> tuple[str, ...]:
    counts = (scores.rows, scores.positives, scores.tp, scores.fp, scores.fn, scores.tn)
    return (*map(str, counts), *(_cell(getattr(scores, name)) for name in _FIGURES))


def _cell(figure: ScoredFigure) -> str:
    if figure.value is None:
        return "-"
    if figure.low is None or figure.high is None:
        return f"{figure.value:.2f}"
    return f"{figure.value:.2f} [{figure.low:.2f}, {figure.high:.2f}]"


def sources_line(found: FittedManifest) -> str:
    """What was fitted, in one line."""
    files = ", ".join(
        f"{s.name} ({s.rows} rows, {s.prompts} prompts, {s.positives} {found.about})" for s in found.sources
    )
    left = sum(s.unlabelled + s.empty for s in found.sources)
    further = f"; left out: {left} rows without a label or a text" if left else ""
    what = f"{found.about} in the {found.part}, from {found.features.__struct_config__.tag}"
    return f"{what}; C {found.strength:g}, threshold {found.threshold:.3f} ({found.threshold_by}); {files}{further}"


def chance_warning(found: FittedManifest) -> Iterator[str]:
    """A sentence if the judge is not shown to be better than chance."""
    low = found.held_out.kappa.low
    if low is None or low <= 0:
        yield "on held-out prompts this judge is not shown to be better than chance: do not use it for a result"


def measured_lines(found: FittedManifest) -> Iterator[str]:
    """How a recipe corrects rates for the judge's errors."""
    if found.measured:
        yield "its held-out errors correct the rates of an evaluation by this judge"
