"""Values over training steps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lrmctl.reporting.figures.drawing import Chart, Drawing, Margins, PlottedEstimate, text_width, wrapped
from lrmctl.reporting.figures.scatter import spread

_SMOOTH = 5
_STYLES = ("-", "--", ":", "-.")


def training_curves(name: str, lines: Sequence[tuple[str, str, Sequence[tuple[float, float]]]], title: str) -> Drawing:
    """Values over training steps: (label, colour's name, [(step, value)]).

    Faint is as logged, firm is a running mean.
    """
    smooth = [_running_mean([value for _, value in points]) for _, _, points in lines]
    labels = [wrapped(label) for label, _, _ in lines] if len(lines) > 1 else []
    right = 0.2 + max((text_width(label, bold=True) for label in labels), default=0.0)

    def draw(chart: Chart) -> None:
        axes = chart.axes
        for i, (_, color, points) in enumerate(lines):
            steps, values = [p[0] for p in points], [p[1] for p in points]
            ink, line = chart.theme[color], _STYLES[i % len(_STYLES)]
            axes.plot(steps, values, color=ink, linewidth=0.8, alpha=0.35)
            axes.plot(steps, smooth[i], color=ink, linewidth=1.8, linestyle=line)
        axes.margins(x=0.01)
        axes.set_xlabel("step")
        axes.set_ylim(*_roomy(axes.get_ylim()))
        if labels:
            _ends(chart, [(labels[i], color, smooth[i][-1]) for i, (_, color, _) in enumerate(lines)])

    said = "; ".join(f"{label} ends at {ends[-1]:.3g}" for (label, _, _), ends in zip(lines, smooth, strict=True))
    height = max(2.4, 0.7 + 0.2 * len(labels))
    return Drawing(name, f"{title} over training. {said}", 3.2 + right, height, Margins(0.6, right, 0.5, 0.1), draw)


def step_estimates(
    name: str, lines: Sequence[tuple[str, str, Sequence[tuple[int, PlottedEstimate]]]], title: str
) -> Drawing:
    """Estimates in % of the models of training steps: (label, colour's name, [(step, estimate)])."""
    labels = [wrapped(label) for label, _, _ in lines]
    right = 0.2 + max((text_width(label, bold=True) for label in labels), default=0.0)

    def draw(chart: Chart) -> None:
        for i, (_, color, points) in enumerate(lines):
            steps, values = [step for step, _ in points], [found.value for _, found in points]
            look: dict[str, Any] = {"color": chart.theme[color], "linestyle": _STYLES[i % len(_STYLES)]}
            chart.axes.plot(steps, values, linewidth=1.8, marker="o", markersize=4, **look)
            for step, found in points:
                chart.interval(found, step, color, horizontal=False)
        chart.axes.margins(x=0.03)
        chart.axes.set_xlabel("step")
        chart.axes.set_ylim(0, 100)
        _ends(chart, [(labels[i], color, points[-1][1].value) for i, (_, color, points) in enumerate(lines)])

    said = "; ".join(f"{label} ends at {points[-1][1].value:.1f}" for label, _, points in lines)
    height = max(2.4, 0.7 + 0.2 * len(labels))
    return Drawing(name, f"{title}. {said}", 3.2 + right, height, Margins(0.6, right, 0.5, 0.1), draw)


def _ends(chart: Chart, ends: Sequence[tuple[str, str, float]]) -> None:
    """Labels where the lines end, pushed apart so that none covers another."""
    width, height = chart.size
    bottom, top = chart.axes.get_ylim()
    order = sorted(ends, key=lambda end: end[2])
    gap = 0.2 * max(1 + label.count("\n") for label, _, _ in ends)
    heights = spread([height * (y - bottom) / (top - bottom) for _, _, y in order], gap, height)
    for (label, color, _), y in zip(order, heights, strict=True):
        chart.axes.text(
            1 + 0.08 / width, y / height, label, transform=chart.axes.transAxes, va="center", fontweight=700,
            color=chart.theme[color],
        )  # fmt: skip


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
