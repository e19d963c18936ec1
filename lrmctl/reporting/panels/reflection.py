"""Reflection in the thinking: how often, to what effect, where, and by outcome."""

from __future__ import annotations

from collections.abc import Iterator

from lrmctl.reporting.figures import Mark, PlottedEstimate, Strip, estimate, histogram_strips, interval_rows
from lrmctl.reporting.figures.theme import OUTCOMES
from lrmctl.reporting.panels.base import (
    FEWEST,
    Panel,
    Section,
    View,
    any_of,
    estimates,
    heading,
)

SHOWN_OUTCOMES = {
    "harmful": ("all", "safe", "unsafe", "malformed"),
    "benign": ("all", "safe", "unsafe", "malformed"),
    "reasoning": ("all", "correct", "incorrect"),
}
OUTCOME_MARKS = {
    outcome: Mark("all traces" if outcome == "all" else outcome, color, marker)
    for outcome, (color, marker) in OUTCOMES.items()
}
_DEPTH = {"per_trace": Mark("hits", "ink", "o"), "depth_per_trace": Mark("that change the course", "s1", "D", True)}


def reflection_section(view: View) -> Section:
    """Hits by outcome, hits beside those that change the course, and where hits stand in the thought."""
    panels: list[Panel] = []
    for kind, set_name in view.shown("reflection"):
        title = heading(kind, set_name, view.sets)
        panels += by_outcome(view, "reflection", kind, set_name, "per_trace", "hits per trace")
        panels += _depth(view, kind, set_name, title)
        panels += _histogram(view, kind, set_name, title)
    return Section(
        "Reflection in the thinking",
        panels,
        f"Hits of the lexicon \N{LEFT DOUBLE QUOTATION MARK}{view.lexicon}\N{RIGHT DOUBLE QUOTATION MARK}. A hit is a "
        "surface fact: a word, not yet a change of mind. It changes the course if at least half of the word triples up "
        "to the next hit are new to the thought. Histograms: hits per trace in each tenth of the thought.",
        absent=view.absent("reflection", "a reflection analysis", "`lrmctl analyze`"),
    )


def by_outcome(view: View, analysis: str, kind: str, set_name: str, metric: str, x_label: str) -> Iterator[Panel]:
    """A panel of an analysis's figure for all traces and for each outcome; none where there is nothing to draw."""
    rows = []
    for look, arm in zip(view.looks, view.arms, strict=True):
        also = {"lexicon": view.lexicon} if analysis == "reflection" else {}
        cells = {
            outcome: arm.cell(analysis, kind, set_name, view.temperature, outcome, **also)
            for outcome in SHOWN_OUTCOMES[kind]
        }
        enough = {o: c for o, c in cells.items() if c and (o == "all" or c["traces"] >= FEWEST)}
        found: dict[str, PlottedEstimate] = {}
        for outcome, cell in enough.items():
            if value := estimate(cell.get(metric)):
                found[outcome] = value
        rows.append((look, found))
    if any_of(rows):
        title = heading(kind, set_name, view.sets)
        name = view.name(analysis, "by_outcome", kind, set_name)
        said = f"{x_label}, {title}, by outcome"
        yield Panel(f"{title}: by outcome", interval_rows(name, rows, OUTCOME_MARKS, x_label, said))


def _depth(view: View, kind: str, set_name: str, title: str) -> Iterator[Panel]:
    rows = estimates(view.cells("reflection", kind, set_name), list(_DEPTH))
    if any("depth_per_trace" in found for _, found in rows):
        name = view.name("reflection", "depth", kind, set_name)
        said = f"Hits per trace and those that change the course, {title}"
        yield Panel(f"{title}: hits and depth", interval_rows(name, rows, _DEPTH, "per trace", said))


def _histogram(view: View, kind: str, set_name: str, title: str) -> Iterator[Panel]:
    strips = []
    for look, cell in view.cells("reflection", kind, set_name):
        bins = cell.get("histogram") or []
        if bins:
            values = [PlottedEstimate(count / cell["traces"]) for count in bins]
            starts = [i / len(bins) for i in range(len(bins))]
            strips.append(Strip(look, starts, values, f"{sum(bins):,} hits"))
    if any(value and value.value for strip in strips for value in strip.values):
        name = view.name("reflection", "positions", kind, set_name)
        drawn = histogram_strips(
            name, strips, "position in the thought", "", f"Hits per trace by tenth of the thought, {title}"
        )
        yield Panel(f"{title}: where hits stand", drawn)
