"""The report's figures. Each takes plain numbers and gives one small SVG panel; colour never carries meaning alone.

Knows no files. What is missing is left out of a panel; the page says that it is missing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from lrmctl.reporting.svg import BAD, GOOD, INK, MUTED, NONE, ODD, PAPER, SERIES, canvas, to_svg

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MARKERS = "osD^vPXh"
OUTCOMES: Mapping[str, tuple[str, str]] = {
    "all": (INK, "o"),
    "safe": (GOOD, "^"),
    "unsafe": (BAD, "X"),
    "malformed": (ODD, "s"),
    "correct": (GOOD, "^"),
    "incorrect": (BAD, "X"),
}
"""Colour and marker of each outcome; `all` is the one with an interval."""
_SMOOTH = 5
_LEAST_SPAN = 10
"""Points that an axis of rates spans at least: small differences look small."""


class ArmStyle(NamedTuple):
    """How an arm is drawn in every figure; controls are hollow."""

    label: str
    color: str
    marker: str
    control: bool


class PlottedEstimate(NamedTuple):
    value: float
    low: float | None
    high: float | None


def arm_styles(labels: Sequence[tuple[str, bool]]) -> list[ArmStyle]:
    """One look per arm, in order: (label, control)."""
    return [
        ArmStyle(label, SERIES[i % len(SERIES)], MARKERS[i % len(MARKERS)], control)
        for i, (label, control) in enumerate(labels)
    ]


def estimate(cell: Mapping[str, Any] | None, scale: float = 1.0) -> PlottedEstimate | None:
    """A table cell as numbers to draw, or None."""
    if not cell or cell.get("value") is None:
        return None
    value, low, high = (None if cell.get(k) is None else scale * cell[k] for k in ("value", "low", "high"))
    assert value is not None
    return PlottedEstimate(value, low, high)


def tradeoff(
    name: str, points: Sequence[tuple[ArmStyle, PlottedEstimate, PlottedEstimate]], x_label: str, y_label: str
) -> str:
    """Two rates against each other, with 95 % intervals and direct labels. Up and right is better in both."""
    with canvas(5.2, 4.0) as (figure, axes):
        for look, x, y in points:
            _interval(axes, x, y.value, look.color, horizontal=True)
            _interval(axes, y, x.value, look.color, horizontal=False)
            _dot(axes, x.value, y.value, look)
        _frame(axes, [p[1] for p in points], [p[2] for p in points])
        _label_beside(axes, [(look, x.value, y.value) for look, x, y in points])
        axes.set(xlabel=f"{x_label} (%)", ylabel=f"{y_label} (%)")
        said = "; ".join(f"{look.label} {x.value:.1f}, {y.value:.1f}" for look, x, y in points)
        return to_svg(figure, name, f"{y_label} against {x_label}. {said}")


def forest(name: str, rows: Sequence[tuple[ArmStyle, PlottedEstimate | None]], title: str) -> str:
    """Paired differences to the base in percentage points, one line per arm."""
    with canvas(4.6, 0.8 + 0.34 * len(rows)) as (figure, axes):
        axes.axvline(0, color=MUTED, linewidth=1)
        for i, (look, found) in enumerate(rows):
            if found:
                _interval(axes, found, i, look.color, horizontal=True)
                _dot(axes, found.value, i, look)
        _rows_axis(axes, [look for look, _ in rows])
        low, high = axes.get_xlim()
        axes.set_xlim(min(low, -_LEAST_SPAN / 2), max(high, _LEAST_SPAN / 2))
        axes.set_xlabel("difference to the base (points)")
        said = "; ".join(f"{look.label} {f.value:+.1f}" for look, f in rows if f)
        return to_svg(figure, name, f"{title}, difference to the base. {said}")


def by_outcome(
    name: str, rows: Sequence[tuple[ArmStyle, Mapping[str, PlottedEstimate]]], x_label: str, description: str
) -> str:
    """One line per arm, one mark per outcome; the mark of all traces carries the interval."""
    with canvas(4.6, 0.8 + 0.4 * len(rows)) as (figure, axes):
        for i, (_, outcomes) in enumerate(rows):
            for outcome, found in outcomes.items():
                _outcome_mark(axes, outcome, found, i)
        _rows_axis(axes, [look for look, _ in rows])
        axes.set_xlim(left=0)
        axes.set_xlabel(x_label)
        said = "; ".join(f"{look.label} {o['all'].value:.3g}" for look, o in rows if "all" in o)
        return to_svg(figure, name, f"{description}. {said}")


def curves(name: str, lines: Sequence[tuple[str, str, Sequence[tuple[float, float]]]], title: str) -> str:
    """Values over training steps: (label, colour, [(step, value)]). Faint is as logged, firm is a running mean."""
    with canvas(4.0, 2.6) as (figure, axes):
        ends = []
        for (label, color, points), style in zip(lines, ("-", "--", ":", "-.") * len(lines), strict=False):
            steps, values = [p[0] for p in points], [p[1] for p in points]
            smooth = _running_mean(values)
            axes.plot(steps, values, color=color, linewidth=0.8, alpha=0.35)
            axes.plot(steps, smooth, color=color, linewidth=1.8, linestyle=style)
            ends.append((ArmStyle(label, color, "", False), steps[-1], smooth[-1]))
        axes.margins(x=0.01)
        axes.set_xlabel("step")
        axes.set_ylim(*_roomy(axes.get_ylim()))
        if len(ends) > 1:
            _label_beside(axes, ends, leaders=False)
        said = "; ".join(f"{look.label} ends at {y:.3g}" for look, _, y in ends)
        return to_svg(figure, name, f"{title} over training. {said}")


def series_color(index: int) -> str:
    return SERIES[index % len(SERIES)]


KIND_COLORS = {"harmful": SERIES[2], "benign": SERIES[1], "reasoning": SERIES[3], "all": NONE}


def _interval(axes: Axes, found: PlottedEstimate, at: float, color: str, *, horizontal: bool) -> None:
    if found.low is None or found.high is None:
        return
    ends, fixed = [found.low, found.high], [at, at]
    axes.plot(ends if horizontal else fixed, fixed if horizontal else ends, color=color, linewidth=2, alpha=0.55)


def _dot(axes: Axes, x: float, y: float, look: ArmStyle) -> None:
    face = PAPER if look.control else look.color
    axes.plot(x, y, marker=look.marker, markersize=8, color=look.color, markerfacecolor=face, markeredgewidth=1.6)


def _frame(axes: Axes, xs: Sequence[PlottedEstimate], ys: Sequence[PlottedEstimate]) -> None:
    """Room for every interval, at least ten points wide, and never past 0 and 100 by more than a marker."""
    for found, place in ((xs, axes.set_xlim), (ys, axes.set_ylim)):
        low = min(e.low if e.low is not None else e.value for e in found)
        high = max(e.high if e.high is not None else e.value for e in found)
        pad = max(0.05 * (high - low), (_LEAST_SPAN - (high - low)) / 2, 0.3)
        marker = 0.03 * (high - low + 2 * pad)
        top = min(high + pad, 100 + marker)
        place(max(min(low - pad, top - _LEAST_SPAN), -marker), top)


def _outcome_mark(axes: Axes, outcome: str, found: PlottedEstimate, row: int) -> None:
    """The mark of all traces stands on the line with its interval, those of the outcomes just below it."""
    color, marker = OUTCOMES[outcome]
    whole = outcome == "all"
    at = row - 0.12 if whole else row + 0.2
    if whole:
        _interval(axes, found, at, color, horizontal=True)
    axes.plot(
        found.value, at, marker=marker, markersize=8 if whole else 6.5, color=color, markeredgecolor=PAPER,
        markeredgewidth=0.6, clip_on=False, zorder=3,
    )  # fmt: skip


def _rows_axis(axes: Axes, shown: Sequence[ArmStyle]) -> None:
    axes.set_yticks(range(len(shown)), [f"{look.label} (control)" if look.control else look.label for look in shown])
    axes.tick_params(axis="y", labelcolor=INK)
    axes.set_ylim(len(shown) - 0.4, -0.6)
    axes.grid(axis="y", visible=False)
    axes.spines["left"].set_visible(False)


def _label_beside(axes: Axes, points: Sequence[tuple[ArmStyle, float, float]], *, leaders: bool = True) -> None:
    """Labels in a column right of the axes, pushed apart so that none covers another."""
    bottom, top = axes.get_ylim()
    order = sorted(points, key=lambda p: (p[2], p[1]))
    heights = _spread([(y - bottom) / (top - bottom) for _, _, y in order], 0.075)
    for (look, x, y), height in zip(order, heights, strict=True):
        line = {"arrowstyle": "-", "color": MUTED, "alpha": 0.6, "linewidth": 0.7, "shrinkB": 6} if leaders else None
        axes.annotate(
            look.label, (x, y), xytext=(1.03, height), textcoords="axes fraction", va="center", color=look.color,
            arrowprops=line, annotation_clip=False, fontweight=700,
        )  # fmt: skip


def _spread(wanted: Sequence[float], gap: float) -> list[float]:
    """Rising positions near the wanted ones, at least `gap` apart and, if they fit, between 0 and 1."""
    placed: list[float] = []
    for height in wanted:
        placed.append(max(height, placed[-1] + gap) if placed else max(height, 0.0))
    limit = 1.0
    for i in reversed(range(len(placed))):
        placed[i] = min(placed[i], limit)
        limit = placed[i] - gap
    return placed


def _running_mean(values: Sequence[float]) -> list[float]:
    """Centred mean over up to five steps, shorter at the ends."""
    half = _SMOOTH // 2
    windows = [values[max(0, i - half) : i + half + 1] for i in range(len(values))]
    return [sum(w) / len(w) for w in windows]


def _roomy(limits: tuple[float, float]) -> tuple[float, float]:
    """Never zoom into noise: a flat curve looks flat."""
    low, high = limits
    least = max(0.02, 0.1 * max(abs(low), abs(high)))
    lack = max(0.0, least - (high - low)) / 2
    return low - lack, high + lack
