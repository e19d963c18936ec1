"""The section of a study's page on all bases and training seeds: what each arm changes, and on how many bases."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from lrmctl.comparison import AcrossDelta, main_places
from lrmctl.reporting.figures import PlottedEstimate, arm_styles, forest
from lrmctl.reporting.load import KINDS
from lrmctl.reporting.panels import Panel
from lrmctl.reporting.panels.base import DASH, DataTable, drawing_name
from lrmctl.runs.study_cells import BASE
from lrmctl.types import Kind

_WORDS: dict[Kind, str] = {
    "harmful": "thinks and answers safely on harmful prompts",
    "benign": "helps with benign prompts",
    "reasoning": "solves reasoning problems",
}
_TITLES = {
    "joint_safe": "Safe thinking and answer, harmful prompts",
    "complied": "Help, benign prompts",
    "correct": "Correct, reasoning",
}
_COLUMNS = (
    "Arm",
    "Compared with",
    "Set",
    "T",
    "Metric",
    "Points",
    "p (Holm)",
    "Better on",
    "Worse on",
    "Spread, points",
)
_OF_BASES = ("Arm", "Compared with", "Base", "Seeds", "Set", "T", "Metric", "Points", "p (Holm)", "Prompts")


class AcrossSection(NamedTuple):
    """What the page shows.

    Attributes:
        sentences: what each arm does, main metrics at the lowest temperature.
        judges: of all figures.
    """

    sentences: Sequence[str]
    panels: Sequence[Panel]
    tables: Sequence[DataTable]
    judges: str


def across_section(deltas: Sequence[AcrossDelta]) -> AcrossSection:
    """Sentences, figures and tables of a study's differences over its bases and training seeds."""
    tables = [
        DataTable("table-across", "over all bases and training seeds", _COLUMNS, [_row(d) for d in deltas]),
        DataTable("table-bases", "each base by itself", _OF_BASES, [row for d in deltas for row in _base_rows(d)]),
    ]
    judges = "; ".join(sorted({d.judge for d in deltas if d.judge}))
    return AcrossSection(list(_sentences(_main(deltas))), list(_panels(deltas)), tables, judges)


def _main(deltas: Sequence[AcrossDelta]) -> list[AcrossDelta]:
    """The main metrics at the lowest temperature of each set."""
    lowest: dict[str, float] = {}
    for d in deltas:
        lowest[d.set] = min(lowest.get(d.set, math.inf), d.temperature)
    main = [deltas[i] for i in main_places(deltas, of=lambda d: (d.arm, d.reference))]
    return [d for d in main if d.temperature == lowest[d.set]]


def _sentences(deltas: Sequence[AcrossDelta]) -> Iterator[str]:
    """One sentence for each arm and what it is compared with."""
    of_pair: dict[tuple[str, str], list[AcrossDelta]] = {}
    for d in deltas:
        of_pair.setdefault((d.arm, d.reference), []).append(d)
    for (_, reference), found in of_pair.items():
        who = found[0].label + (" (control)" if found[0].control else "")
        said = "; ".join(_finding(d) for d in sorted(found, key=lambda d: KINDS.index(d.kind)))
        yield f"{who} against {'the base' if reference == BASE else reference}: {said}."


def _finding(d: AcrossDelta) -> str:
    if d.low > 0 or d.high < 0:
        how = f"{_WORDS[d.kind]} {'more' if d.delta > 0 else 'less'} often"
    else:
        how = f"{_WORDS[d.kind]} about as often, or the data cannot tell"
    return f"{how} ({_points(d)} points on {d.set}, clear on {_holds(d)})"


def _holds(d: AcrossDelta) -> str:
    n, k = len(d.bases), d.better if (d.better >= d.worse) else d.worse
    side = "" if not d.better or not d.worse else f", and the other way on {min(d.better, d.worse)}"
    return f"{k} of {n} base{'s' if n != 1 else ''}{side}"


def _row(d: AcrossDelta) -> list[str]:
    n, against = len(d.bases), "base" if d.reference == BASE else d.reference
    name = d.label + (" (control)" if d.control else "")
    counts = [f"{d.better} of {n}", f"{d.worse} of {n}"]
    return [name, against, d.set, f"{d.temperature:g}", d.metric, _points(d), _p(d.p_holm), *counts, _spread(d)]


def _base_rows(d: AcrossDelta) -> Iterator[list[str]]:
    against = "base" if d.reference == BASE else d.reference
    for b in d.bases:
        found = [f"{d.temperature:g}", d.metric, _estimate(b.delta, b.low, b.high), _p(b.p_holm), str(b.prompts)]
        yield [d.label, against, b.base, str(b.seeds), d.set, *found]


def _panels(deltas: Sequence[AcrossDelta]) -> Iterator[Panel]:
    """One figure a set: each arm's difference to the base, mean over bases."""
    shown = [d for d in _main(deltas) if d.reference == BASE]
    for set_name, temperature in dict.fromkeys((d.set, d.temperature) for d in shown):
        of_set = [d for d in shown if d.set == set_name]
        looks = arm_styles([(d.label, d.control) for d in of_set])
        rows = [
            (look, PlottedEstimate(100 * d.delta, 100 * d.low, 100 * d.high))
            for look, d in zip(looks, of_set, strict=True)
        ]
        title = f"{_TITLES[of_set[0].metric]}: {set_name}"
        yield Panel(title, forest(drawing_name("across", set_name, temperature), rows, title))


def _points(d: AcrossDelta) -> str:
    return _estimate(d.delta, d.low, d.high)


def _estimate(value: float, low: float, high: float) -> str:
    signed = [f"{100 * x:+.1f}".replace("-", "\N{MINUS SIGN}") for x in (value, low, high)]
    return f"{signed[0]} [{signed[1]}, {signed[2]}]"


def _p(value: float | None) -> str:
    return DASH if value is None else "< 0.001" if value < 0.001 else f"{value:.3f}"


def _spread(d: AcrossDelta) -> str:
    named = {"bases": d.between_bases, "seeds": d.between_seeds, "prompts": d.prompt_error}
    return ", ".join(f"{name} {100 * value:.1f}" for name, value in named.items() if value is not None) or DASH
