"""A figure as data: what it is called, what it says in words, how large it is, and how it is drawn on any look."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from lrmctl.reporting.figures.theme import FONT, FONT_SIZE, SERIES, Theme

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MARKERS = "osD^vPXh"
LABEL_WIDTH = 24
"""Characters of a label's line; longer labels take two lines, and no more."""


class ArmStyle(NamedTuple):
    """How an arm is drawn in every figure; controls are hollow. `color` is a name of the theme."""

    label: str
    color: str
    marker: str
    control: bool

    @property
    def full_label(self) -> str:
        """The label, and whether it is a control."""
        return f"{self.label} (control)" if self.control else self.label


class PlottedEstimate(NamedTuple):
    """A value with its 95 % interval, if it has one."""

    value: float
    low: float | None = None
    high: float | None = None


class Margins(NamedTuple):
    """Inches that are left free around the axes for labels."""

    left: float = 0.6
    right: float = 0.1
    bottom: float = 0.5
    top: float = 0.1


@dataclass(frozen=True)
class Drawing:
    """One figure.

    Attributes:
        name: says what it is, of letters, digits, `-` and `_`; unique in a report, prefix of its ids and its file name.
        description: what it shows, for readers who cannot see it.
        width, height: inches.
        draw: puts it on a chart; called once for each rendering.
    """

    name: str
    description: str
    width: float
    height: float
    margins: Margins
    draw: Callable[[Chart], None]


class Chart:
    """Axes in one look, with the marks that all figures share."""

    def __init__(self, axes: Axes, theme: Theme, size: tuple[float, float]) -> None:
        self.axes = axes
        self.theme = theme
        self.size = size
        """Width and height of the axes in inches."""

    def interval(self, found: PlottedEstimate, at: float, color: str, *, horizontal: bool = True) -> None:
        """The 95 % interval as a bar at `at` on the other axis; nothing where there is none."""
        if found.low is None or found.high is None:
            return
        ends, fixed = [found.low, found.high], [at, at]
        where = (ends, fixed) if horizontal else (fixed, ends)
        self.axes.plot(*where, color=self.theme[color], linewidth=2, alpha=0.55)

    def dot(self, x: float, y: float, look: ArmStyle, *, size: float = 8, **also: Any) -> None:
        """An arm's mark."""
        color = self.theme[look.color]
        face = self.theme["paper"] if look.control else color
        self.axes.plot(
            x, y, marker=look.marker, markersize=size, color=color, markerfacecolor=face, markeredgewidth=1.6, **also
        )


def arm_styles(labels: Sequence[tuple[str, bool]]) -> list[ArmStyle]:
    """One look per arm, in order: (label, control)."""
    return [
        ArmStyle(label, SERIES[i % len(SERIES)], MARKERS[i % len(MARKERS)], control)
        for i, (label, control) in enumerate(labels)
    ]


def estimate(cell: Mapping[str, Any] | None, scale: float = 1.0) -> PlottedEstimate | None:
    """A figure of a table or an analysis as numbers to draw, or None."""
    if not cell or cell.get("value") is None:
        return None
    low, high = (None if cell.get(k) is None else scale * cell[k] for k in ("low", "high"))
    return PlottedEstimate(scale * cell["value"], low, high)


def wrapped(label: str) -> str:
    """A label in at most two lines, so that no name takes the room of the figure."""
    return "\n".join(textwrap.wrap(label, LABEL_WIDTH, max_lines=2, placeholder="\N{HORIZONTAL ELLIPSIS}")) or label


def text_width(text: str, *, bold: bool = False) -> float:
    """Inches that a text's longest line takes in the figures' font and size."""
    return max((_line_width(line, bold) for line in text.splitlines()), default=0.0)


@lru_cache(maxsize=1024)
def _line_width(line: str, bold: bool) -> float:
    from matplotlib.font_manager import FontProperties, findfont, get_font

    font = get_font(findfont(FontProperties(family=FONT, weight=700 if bold else 400)))
    font.set_size(FONT_SIZE, 72)
    font.set_text(line)
    width: float = font.get_width_height()[0]
    return width / 64 / 72
