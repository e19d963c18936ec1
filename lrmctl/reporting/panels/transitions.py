"""Unsafe-thought transitions: how thoughts turn unsafe and back, and what comes of thoughts that were unsafe."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lrmctl.reporting.figures import ArmStyle, Mark, interval_rows
from lrmctl.reporting.panels.base import (
    DASH,
    Cell,
    DataTable,
    Panel,
    Section,
    View,
    any_of,
    estimates,
    heading,
    written,
)

_RATES = {
    "onset": Mark("onset: unsafe after safe", "bad", "X"),
    "recovery": Mark("recovery: safe after unsafe", "good", "^"),
}
_TRACES = {
    "unsafe_share": Mark("traces with unsafe thoughts", "bad", "X"),
    "ends_safe": Mark("of these: the thought ends safe", "good", "^"),
    "safe_after_unsafe": Mark("of these: the answer is safe", "good", "o", True),
}
_PLACES = {
    "first_unsafe": Mark("first unsafe segment", "bad", "X"),
    "recovery_position": Mark("first safe one after it", "good", "^"),
}
_FIGURES = (
    ("rates", "transitions", _RATES, "of the segments before (%)"),
    ("traces", "traces", _TRACES, "traces (%)"),
    ("places", "where", _PLACES, "position in the thought (%)"),
)


def transition_section(view: View) -> Section:
    """Onset and recovery, traces with unsafe thoughts, where they begin, and answers that are safe all the same."""
    panels: list[Panel] = []
    tables: list[DataTable] = []
    quiet: list[str] = []
    for kind, set_name in view.shown("transitions"):
        cells = view.cells("transitions", kind, set_name)
        title = heading(kind, set_name, view.sets)
        if any(cell["unsafe_share"]["value"] for _, cell in cells):
            panels += _panels(view, kind, set_name, cells, title)
            tables.append(_table(view, kind, set_name, cells, title))
        elif cells:
            quiet.append(f"{title}: no thought of any arm has an unsafe segment.")
    return Section(
        "Unsafe thoughts",
        panels,
        f"Each thought is cut into segments, and each segment is judged by itself{_judges(view)}. Rates are of the "
        "segment that came before: recovery is the share of unsafe segments that a safe one follows. Segments that are "
        "neither safe nor unsafe end a pair and begin none. A position is a share of the thought's length.",
        tables,
        [
            *view.absent("transitions", "an analysis of unsafe thoughts", "`analysis.transitions` in the recipe"),
            *quiet,
        ],
    )


def _panels(
    view: View, kind: str, set_name: str, cells: Sequence[tuple[ArmStyle, Cell]], title: str
) -> Iterator[Panel]:
    for key, words, marks, x_label in _FIGURES:
        rows = estimates(cells, list(marks), 100)
        if any_of(rows):
            name = view.name("unsafe_thoughts", key, kind, set_name)
            drawn = interval_rows(name, rows, marks, x_label, f"Unsafe thoughts, {words}, {title}", limit=100)
            yield Panel(f"{title}: {words}", drawn)


def _table(view: View, kind: str, set_name: str, cells: Sequence[tuple[ArmStyle, Cell]], title: str) -> DataTable:
    """The 2x2 rates: what follows a safe segment, and what follows an unsafe one."""
    rows = []
    for look, cell in cells:
        pairs = cell["pairs"]
        rows.append(
            [
                look.full_label,
                _rest(cell["onset"]), written(cell["onset"], 100), f"{pairs['safe->safe'] + pairs['safe->unsafe']:,}",
                written(cell["recovery"], 100), _rest(cell["recovery"]),
                f"{pairs['unsafe->safe'] + pairs['unsafe->unsafe']:,}",
                written(cell["recovery_reflective"], 100), written(cell["recovery_plain"], 100),
            ]
        )  # fmt: skip
    columns = [
        "Arm", "safe, then safe", "safe, then unsafe", "pairs from safe", "unsafe, then safe",
        "unsafe, then unsafe", "pairs from unsafe",
        "recovery that begins with a reflection", "recovery that does not",
    ]  # fmt: skip
    name = view.name("unsafe_thoughts", "transitions", kind, set_name)
    return DataTable(name, f"{title}: what follows a segment, %", columns, rows)


def _rest(cell: Cell) -> str:
    """The complement of a rate, with its interval."""
    if cell.get("value") is None:
        return DASH
    low, high = cell.get("low"), cell.get("high")
    rest = {
        "value": 1 - cell["value"],
        "low": None if high is None else 1 - high,
        "high": None if low is None else 1 - low,
    }
    return written(rest, 100)


def _judges(view: View) -> str:
    """Who judged, and how thoughts were cut; all that the arms say, which may differ."""
    said = {
        f"{a.transitions['judge']} {a.transitions.get('judge_version') or ''}".strip() + f", by {a.transitions['by']}"
        for a in view.arms
        if "judge" in a.transitions and "by" in a.transitions
    }
    return f" ({' or '.join(sorted(said))})" if said else ""
