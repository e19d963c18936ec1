"""Two rates against each other, one point per arm."""

from __future__ import annotations

from collections.abc import Sequence

from lrmctl.reporting.figures.drawing import ArmStyle, Chart, Drawing, Margins, PlottedEstimate, text_width, wrapped

_LEAST_SPAN = 10
"""Points that an axis of rates spans at least: small differences look small."""
_LINE = 0.17
"""Inches that a line of a label takes."""
_PLOT = 3.1
"""Inches of the axes' width."""
_COLUMN = 0.34
"""Inches between the axes and the column of labels, where the leaders run."""


def tradeoff(
    name: str, points: Sequence[tuple[ArmStyle, PlottedEstimate, PlottedEstimate]], x_label: str, y_label: str
) -> Drawing:
    """Two rates in percent against each other, with 95 % intervals and direct labels.

    Up and right is better in both.
    """
    labels = [wrapped(look.label) for look, _, _ in points]
    right = _COLUMN + 0.2 + max(text_width(label, bold=True) for label in labels)
    height = max(3.6, 0.7 + sum(_height(label) for label in labels))

    def draw(chart: Chart) -> None:
        for look, x, y in points:
            chart.interval(x, y.value, look.color)
            chart.interval(y, x.value, look.color, horizontal=False)
            chart.dot(x.value, y.value, look)
        _frame(chart, [p[1] for p in points], [p[2] for p in points])
        label_column(chart, [(look, x.value, y.value) for look, x, y in points])
        chart.axes.set(xlabel=f"{x_label} (%)", ylabel=f"{y_label} (%)")

    said = "; ".join(f"{look.full_label} {x.value:.1f}, {y.value:.1f}" for look, x, y in points)
    return Drawing(
        name, f"{y_label} against {x_label}. {said}", _PLOT + 0.6 + right, height, Margins(0.6, right, 0.5, 0.1), draw
    )


def label_column(chart: Chart, points: Sequence[tuple[ArmStyle, float, float]]) -> None:
    """Each arm's mark and label in a column right of the axes, joined with its point by a line.

    No label covers another, and no two lines cross: of all ways to join points and places this one is the shortest,
    and two lines that cross could be exchanged for shorter ones.
    """
    from scipy.optimize import linear_sum_assignment
    from scipy.spatial.distance import cdist

    width, height = chart.size
    (left, right), (bottom, top) = chart.axes.get_xlim(), chart.axes.get_ylim()
    at = [(width * (x - left) / (right - left), height * (y - bottom) / (top - bottom)) for _, x, y in points]
    order = sorted(range(len(points)), key=lambda i: (at[i][1], at[i][0]))
    gap = max(_height(wrapped(look.label)) for look, _, _ in points)
    places = [(width + _COLUMN, y) for y in spread([at[i][1] for i in order], gap, height)]
    _, chosen = linear_sum_assignment(cdist(at, places))
    for (look, x, y), place in zip(points, (places[i] for i in chosen), strict=True):
        where = (place[0] / width, place[1] / height)
        chart.axes.annotate(
            "", (x, y), xytext=where, textcoords="axes fraction", annotation_clip=False,
            arrowprops={
                "arrowstyle": "-", "color": chart.theme["muted"], "alpha": 0.6, "linewidth": 0.7, "shrinkA": 0,
                "shrinkB": 5,
            },
        )  # fmt: skip
        chart.dot(*where, look, size=7, transform=chart.axes.transAxes, clip_on=False)
        chart.axes.text(
            where[0] + 0.12 / width, where[1], wrapped(look.label), transform=chart.axes.transAxes, va="center",
            color=chart.theme[look.color], fontweight=700, linespacing=1.1,
        )  # fmt: skip


def spread(wanted: Sequence[float], gap: float, length: float) -> list[float]:
    """Rising positions near the wanted ones, at least `gap` apart and, if they fit, between 0 and `length`."""
    placed: list[float] = []
    for height in wanted:
        placed.append(max(height, placed[-1] + gap) if placed else max(height, 0.0))
    limit = length
    for i in reversed(range(len(placed))):
        placed[i] = min(placed[i], limit)
        limit = placed[i] - gap
    return placed


def _height(label: str) -> float:
    return _LINE * (1 + label.count("\n")) + 0.03


def _frame(chart: Chart, xs: Sequence[PlottedEstimate], ys: Sequence[PlottedEstimate]) -> None:
    """Room for every interval, at least ten points wide, and never past 0 and 100 by more than a marker."""
    for found, place in ((xs, chart.axes.set_xlim), (ys, chart.axes.set_ylim)):
        low = min(e.low if e.low is not None else e.value for e in found)
        high = max(e.high if e.high is not None else e.value for e in found)
        pad = max(0.05 * (high - low), (_LEAST_SPAN - (high - low)) / 2, 0.3)
        marker = 0.03 * (high - low + 2 * pad)
        top = min(high + pad, 100 + marker)
        place(max(min(low - pad, top - _LEAST_SPAN), -marker), top)
