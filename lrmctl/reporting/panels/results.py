"""Trade-offs between safety and usefulness, and paired differences to the base."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lrmctl.comparison import main_deltas
from lrmctl.reporting.figures import ArmStyle, PlottedEstimate, estimate, forest, tradeoff
from lrmctl.reporting.panels.base import Panel, drawing_name
from lrmctl.reporting.table import PairedArm

_METRICS = {"joint_safe": "Joint safety", "answer_safe": "Answer safety", "complied": "Benign compliance"}


def metric_words(metric: str, sets: Mapping[str, str]) -> str:
    """A main metric in words; reasoning goes by the name of its task."""
    return _METRICS.get(metric) or f"Correct on {sets.get('reasoning', 'reasoning')}"


def tradeoffs(block: Mapping[str, Any], looks: Sequence[ArmStyle], sets: Mapping[str, str]) -> list[Panel]:
    """Joint safety against compliance and against reasoning, from one temperature's rows of the main table; safety of
    the answer where more arms have that, because no judge read their thinking."""
    panels = [_tradeoff(block, looks, x, metric_words(x, sets)) for x in ("complied", "correct")]
    return [panel for panel in panels if panel]


def _tradeoff(block: Mapping[str, Any], looks: Sequence[ArmStyle], x_key: str, x_label: str) -> Panel | None:
    both, answers = (_points(block, looks, x_key, key) for key in ("joint_safe", "answer_safe"))
    y_key, points = ("joint_safe", both) if len(both) >= len(answers) else ("answer_safe", answers)
    if not points:
        return None
    name = drawing_name("tradeoff", y_key, x_key, float(block["temperature"]))
    title = f"{_METRICS[y_key]} and {x_label[0].lower()}{x_label[1:]}"
    return Panel(title, tradeoff(name, points, x_label, _METRICS[y_key]))


def _points(
    block: Mapping[str, Any], looks: Sequence[ArmStyle], x_key: str, y_key: str
) -> list[tuple[ArmStyle, PlottedEstimate, PlottedEstimate]]:
    """The arms that have both figures."""
    found = []
    for look, row in zip(looks, block["rows"], strict=True):
        x, y = (estimate(row["cells"][key], 100) for key in (x_key, y_key))
        if x and y:
            found.append((look, x, y))
    return found


def forests(
    paired: Sequence[PairedArm], looks: Sequence[ArmStyle], sets: Mapping[str, str], temperature: float
) -> list[Panel]:
    """Differences to the base, one panel per main metric. `looks` are those of the paired arms."""
    panels = []
    for kind, set_name in sets.items():
        rows: list[tuple[ArmStyle, PlottedEstimate | None]] = []
        metric = ""
        for look, pair in zip(looks, paired, strict=True):
            where = (kind, set_name, temperature)
            found = next((d for d in main_deltas(pair.deltas) if (d.kind, d.set, d.temperature) == where), None)
            metric = found.metric if found else metric
            bounds = (found.delta, found.low, found.high) if found else None
            rows.append((look, PlottedEstimate(*(100 * v for v in bounds)) if bounds else None))
        if metric:
            title = metric_words(metric, sets)
            panels.append(Panel(title, forest(drawing_name("difference", metric, float(temperature)), rows, title)))
    return panels
