"""Figures with one line per arm: values side by side on one axis, each with its interval."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from lrmctl.reporting.figures.drawing import ArmStyle, Chart, Drawing, Margins, PlottedEstimate, text_width, wrapped

_LEAST_SPAN = 10
_PLOT = 3.1
"""Inches of the axes' width."""
_LEGEND = 0.27


class Mark(NamedTuple):
    """One series of a figure: what it is called and how it is drawn; `color` is a name of the theme."""

    label: str
    color: str
    marker: str
    hollow: bool = False


def forest(name: str, rows: Sequence[tuple[ArmStyle, PlottedEstimate | None]], title: str) -> Drawing:
    """Paired differences to the base in percentage points, one line per arm."""

    def draw(chart: Chart) -> None:
        chart.axes.axvline(0, color=chart.theme["muted"], linewidth=1)
        for i, (look, found) in enumerate(rows):
            if found:
                chart.interval(found, i, look.color)
                chart.dot(found.value, i, look)
        _arm_axis(chart, [look for look, _ in rows])
        low, high = chart.axes.get_xlim()
        chart.axes.set_xlim(min(low, -_LEAST_SPAN / 2), max(high, _LEAST_SPAN / 2))
        chart.axes.set_xlabel("difference to the base (points)")

    said = "; ".join(f"{look.full_label} {f.value:+.1f}" for look, f in rows if f)
    return _drawing(name, f"{title}, difference to the base. {said}", [look for look, _ in rows], 0.34, draw)


def interval_rows(
    name: str,
    rows: Sequence[tuple[ArmStyle, Mapping[str, PlottedEstimate]]],
    marks: Mapping[str, Mark],
    x_label: str,
    description: str,
    *,
    limit: float | None = None,
    from_zero: bool = True,
) -> Drawing:
    """One line per arm with a mark and an interval for each of `marks`, stacked so that none covers another.

    Args:
        rows: the estimates of each arm by key of `marks`; missing ones are left out.
        limit: right end of the axis, e.g. 100 for rates in percent.
        from_zero: the axis begins at 0; otherwise a line stands there.
    """
    used = [key for key in marks if any(key in found for _, found in rows)]
    step = 0.17
    legend = [marks[key] for key in used] if len(used) > 1 else []

    def draw(chart: Chart) -> None:
        for i, (_, found) in enumerate(rows):
            for j, key in enumerate(used):
                if key in found:
                    at = i + (j - (len(used) - 1) / 2) * (0.8 / max(3, len(used)))
                    chart.interval(found[key], at, marks[key].color)
                    _mark(chart, marks[key], found[key].value, at)
        _arm_axis(chart, [look for look, _ in rows])
        if from_zero:
            right = limit or _right(rows)
            chart.axes.set_xlim(-0.03 * right, 1.03 * right)
        else:
            chart.axes.axvline(0, color=chart.theme["muted"], linewidth=1)
        chart.axes.set_xlabel(x_label)
        _legend(chart, legend)

    said = "; ".join(
        f"{look.full_label}: " + ", ".join(f"{marks[k].label} {found[k].value:.3g}" for k in used if k in found)
        for look, found in rows
        if found
    )
    height = max(0.34, step * len(used))
    return _drawing(name, f"{description}. {said}", [look for look, _ in rows], height, draw, legend_lines(legend))


def legend_lines(marks: Sequence[Mark]) -> int:
    """Lines that the legend above the axes takes."""
    return len(_broken(marks))


def _broken(marks: Sequence[Mark]) -> list[list[Mark]]:
    lines: list[list[Mark]] = []
    room = 0.0
    for mark in marks:
        width = 0.45 + text_width(mark.label)
        if not lines or width > room:
            lines.append([])
            room = _PLOT + 1.2  # it may begin above the labels of the arms
        lines[-1].append(mark)
        room -= width
    return lines


def _legend(chart: Chart, marks: Sequence[Mark]) -> None:
    """The marks with their names above the axes."""
    width, height = chart.size
    lines = _broken(marks)
    for i, line in enumerate(lines):
        at = width - sum(0.45 + text_width(mark.label) for mark in line) + 0.2
        y = 1 + (len(lines) - i - 0.45) * _LEGEND / height
        for mark in line:
            _mark(chart, mark, at / width, y, transform=chart.axes.transAxes)
            chart.axes.text(
                (at + 0.12) / width, y, mark.label, transform=chart.axes.transAxes, va="center_baseline",
                color=chart.theme["muted"],
            )  # fmt: skip
            at += 0.45 + text_width(mark.label)


def _mark(chart: Chart, mark: Mark, x: float, y: float, **also: Any) -> None:
    color, paper = chart.theme[mark.color], chart.theme["paper"]
    chart.axes.plot(
        x, y, marker=mark.marker, markersize=7, color=color, markerfacecolor=paper if mark.hollow else color,
        markeredgecolor=color if mark.hollow else paper, markeredgewidth=1.4 if mark.hollow else 0.6, clip_on=False,
        zorder=3, **also,
    )  # fmt: skip


def _right(rows: Sequence[tuple[ArmStyle, Mapping[str, PlottedEstimate]]]) -> float:
    ends = [max(e.value, e.high or e.value) for _, found in rows for e in found.values()]
    return 1.05 * max(ends, default=1.0) or 1.0


def _drawing(
    name: str, said: str, looks: Sequence[ArmStyle], each: float, draw: Callable[[Chart], None], legend: int = 0
) -> Drawing:
    left = left_margin(looks)
    top = 0.05 + _LEGEND * legend
    height = 0.5 + top + each * len(looks) + 0.1
    return Drawing(name, said, left + _PLOT + 0.15, height, Margins(left, 0.15, 0.5, top), draw)


def left_margin(looks: Sequence[ArmStyle]) -> float:
    """Inches for the arms' names left of the axes."""
    return 0.15 + max((text_width(wrapped(look.full_label)) for look in looks), default=0.5)


def _arm_axis(chart: Chart, shown: Sequence[ArmStyle]) -> None:
    axes = chart.axes
    axes.set_yticks(
        range(len(shown)), [wrapped(look.full_label) for look in shown], linespacing=1.0, multialignment="right"
    )
    axes.tick_params(axis="y", labelcolor=chart.theme["ink"])
    axes.set_ylim(len(shown) - 0.4, -0.6)
    axes.grid(axis="y", visible=False)
    axes.spines["left"].set_visible(False)
