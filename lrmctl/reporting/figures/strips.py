"""Small multiples in one figure: a strip per arm, one above the other, with the same axes.

Strips are drawn on one pair of axes, each at its own height: a figure with many arms costs as much as one with few.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from lrmctl.reporting.figures.drawing import ArmStyle, Chart, Drawing, Margins, PlottedEstimate, text_width, wrapped
from lrmctl.reporting.figures.rows import left_margin

_PLOT = 2.9
_EACH = 0.62
_FILLED = 0.8
"""Share of a strip's height that the highest value takes."""


class Strip(NamedTuple):
    """One arm's values, from left to right; None where nothing was measured.

    `xs` are their places on the shared axis; `note` stands at the right, e.g. how many there are.
    """

    look: ArmStyle
    xs: Sequence[float]
    values: Sequence[PlottedEstimate | None]
    note: str = ""


_Paint = Callable[[Chart, Strip, float, float], None]
"""Draws one strip: chart, strip, height of its zero, height of a unit."""


def histogram_strips(name: str, strips: Sequence[Strip], x_label: str, unit: str, description: str) -> Drawing:
    """Bars from left to right in every strip; `xs` are their left ends and all bars are equally wide, to 1."""

    def paint(chart: Chart, strip: Strip, base: float, scale: float) -> None:
        width = 1 / len(strip.xs)
        heights = [(v.value if v else 0.0) * scale for v in strip.values]
        color = chart.theme[strip.look.color]
        chart.axes.bar(
            strip.xs, heights, width * 0.86, bottom=base, align="edge", color=chart.theme["paper"] if
            strip.look.control else color, edgecolor=color, linewidth=1.0,
        )  # fmt: skip

    return _strips(name, strips, paint, x_label, unit, description, (0.0, 1.0), None, reference=False)


def curve_strips(
    name: str,
    strips: Sequence[Strip],
    x_label: str,
    unit: str,
    description: str,
    *,
    x_limits: tuple[float, float] = (0.0, 1.0),
    top: float | None = None,
) -> Drawing:
    """A curve with its 95 % band in every strip; the first strip's curve is repeated, dashed, in all others.

    Args:
        unit: of the values, stands at the scale of each strip.
        top: value at the top of each strip, e.g. 100 for rates in percent; the largest one otherwise.
    """

    def paint(chart: Chart, strip: Strip, base: float, scale: float) -> None:
        axes, color = chart.axes, chart.theme[strip.look.color]
        there = [(x, v) for x, v in zip(strip.xs, strip.values, strict=True) if v]
        banded = [(x, v.low, v.high) for x, v in there if v.low is not None and v.high is not None]
        axes.fill_between(
            [x for x, _, _ in banded], [base + low * scale for _, low, _ in banded],
            [base + high * scale for _, _, high in banded], color=color, alpha=0.22, linewidth=0,
        )  # fmt: skip
        face = chart.theme["paper"] if strip.look.control else color
        axes.plot(
            [x for x, _ in there], [base + v.value * scale for _, v in there], color=color, linewidth=1.6,
            marker=strip.look.marker, markersize=4, markerfacecolor=face,
        )  # fmt: skip

    return _strips(name, strips, paint, x_label, unit, description, x_limits, top, reference=True)


def _strips(
    name: str, strips: Sequence[Strip], paint: _Paint, x_label: str, unit: str, description: str,
    x_limits: tuple[float, float], top: float | None, *, reference: bool,
) -> Drawing:  # fmt: skip
    highest = top or _highest(strips) or 1.0
    scale = _FILLED / highest
    shown = f"{highest:.3g}{unit}"
    right = 0.2 + max([text_width(shown), *(text_width(s.note) for s in strips)])

    def draw(chart: Chart) -> None:
        axes = chart.axes
        for i, strip in enumerate(strips):
            base = -float(i)
            axes.axhline(base, color=chart.theme["line"], linewidth=0.8, zorder=0)
            axes.axhline(base + _FILLED, color=chart.theme["line"], linewidth=0.6, linestyle=":", zorder=0)
            if reference and i:
                first = [(x, v.value) for x, v in zip(strips[0].xs, strips[0].values, strict=True) if v]
                axes.plot(
                    [x for x, _ in first], [base + v * scale for _, v in first], color=chart.theme["muted"],
                    linewidth=1.0, linestyle="--",
                )  # fmt: skip
            paint(chart, strip, base, scale)
            _scale(chart, base, shown, strip.note)
        names = [wrapped(s.look.full_label) for s in strips]
        axes.set_yticks([0.4 - i for i in range(len(strips))], names, multialignment="right")
        axes.tick_params(axis="y", labelcolor=chart.theme["ink"])
        axes.grid(axis="y", visible=False)
        axes.spines["left"].set_visible(False)
        pad = 0.02 * (x_limits[1] - x_limits[0])
        axes.set_xlim(x_limits[0] - pad, x_limits[1] + pad)
        axes.set_ylim(-len(strips) + 0.95, 0.95)
        axes.set_xlabel(x_label)

    said = "; ".join(
        f"{s.look.full_label}: " + ", ".join("none" if v is None else f"{v.value:.3g}" for v in s.values)
        for s in strips
    )
    left = left_margin([s.look for s in strips])
    height = 0.55 + _EACH * len(strips)
    return Drawing(name, f"{description}. {said}", left + _PLOT + right, height, Margins(left, right, 0.5, 0.05), draw)


def _scale(chart: Chart, base: float, shown: str, note: str) -> None:
    """What the dotted line of a strip stands for, and the strip's note, right of it."""
    at = 1 + 0.08 / chart.size[0]
    where = chart.axes.get_yaxis_transform()
    chart.axes.text(at, base + _FILLED, shown, transform=where, va="center", color=chart.theme["muted"])
    chart.axes.text(at, base + 0.25, note, transform=where, va="center", color=chart.theme["muted"])


def _highest(strips: Sequence[Strip]) -> float:
    return max((max(v.value, v.high or v.value) for s in strips for v in s.values if v), default=0.0)
