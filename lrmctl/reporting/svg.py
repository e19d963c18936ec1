"""Matplotlib figures as inline SVG that follow the page: its colours, its font, its width.

A figure is drawn with stand-in colours; here they become CSS variables, so that one drawing serves light and dark.
Text stays text. Knows nothing of arms and metrics.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, MUTED, LINE, PAPER = "#010101", "#020202", "#030303", "#040404"
GOOD, BAD, ODD, NONE = "#050505", "#060606", "#070707", "#080808"
SERIES = tuple(f"#0000{i:02x}" for i in range(1, 9))
_VARIABLES = {
    INK: "ink", MUTED: "muted", LINE: "line", PAPER: "paper", GOOD: "good", BAD: "bad", ODD: "odd", NONE: "none",
    **{color: f"s{i}" for i, color in enumerate(SERIES)},
}  # fmt: skip
_STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "lrmctl",
    "text.parse_math": False,  # a label may contain a dollar sign
    "font.size": 10,
    "font.family": "DejaVu Sans",  # for measuring only; the page's own font is used
    "text.color": INK,
    "axes.edgecolor": LINE,
    "axes.labelcolor": MUTED,
    "axes.facecolor": "none",
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": LINE,
    "grid.linewidth": 0.6,
    "xtick.color": LINE,
    "ytick.color": LINE,
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": MUTED,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "figure.facecolor": "none",
    "savefig.facecolor": "none",
    "lines.solid_capstyle": "round",
}


@contextmanager
def canvas(width: float = 5.6, height: float = 3.7) -> Iterator[tuple[Figure, Axes]]:
    """A figure (inches) with one axes in the page's style; draw and call `to_svg` inside."""
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    with mpl.rc_context(_STYLE):  # type: ignore[arg-type]  # rc values of several types
        figure = Figure(figsize=(width, height), layout="constrained")
        FigureCanvasSVG(figure)  # no pyplot: nothing global, nothing to close
        yield figure, figure.add_subplot()


def to_svg(figure: Figure, name: str, description: str) -> str:
    """The figure as an `<svg>` element.

    Args:
        name: prefix of every id in it; unique on the page.
        description: what it shows, for readers who cannot see it.
    """
    from markupsafe import escape

    out = io.BytesIO()
    figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    text = out.getvalue().decode()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>\s*", "", text, flags=re.DOTALL)
    text = re.sub(r'<style type="text/css">.*?</style>', "", text, flags=re.DOTALL)
    text = re.sub(r'(id="|url\(#|href="#)', rf"\g<1>{name}-", text)
    text = re.sub(r"font-family: [^;\"]+;? ?", "", text)
    text = re.sub(r"#[0-9a-f]{6}(?=[;\"])", lambda m: _variable(m.group()), text)
    return re.sub(r"<svg [^>]*?viewBox=\"([^\"]+)\"[^>]*>", _opening(str(escape(description))), text, count=1)


def _variable(color: str) -> str:
    return f"var(--{_VARIABLES[color]})" if color in _VARIABLES else color


def _opening(description: str) -> str:
    label = description.replace("\\", "\\\\")
    return rf'<svg viewBox="\1" role="img" aria-label="{label}" xmlns:xlink="http://www.w3.org/1999/xlink">'
