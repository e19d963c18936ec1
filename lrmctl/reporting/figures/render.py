"""Drawings as inline SVG that follows the page (its colours, font and width), and as files for papers.

For the page a figure is drawn with stand-in colours, which become CSS variables here: one drawing serves light and
dark. Text stays text everywhere. One matplotlib figure is used again for all, without pyplot and without a layout
engine, which would draw everything twice.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lrmctl._util.disk import naming
from lrmctl.reporting.figures.drawing import Chart, Drawing
from lrmctl.reporting.figures.theme import PAGE, PAPER, Theme, style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_VARIABLES = {color: name for name, color in PAGE.items()}
_NO_DATES: dict[str, dict[str, Any]] = {
    "svg": {"Date": None, "Creator": None, "Format": None, "Type": None},
    "pdf": {"CreationDate": None, "ModDate": None, "Creator": "lrmctl", "Producer": None},
    "png": {"Software": None},
}
FORMATS = ("svg", "pdf", "png")
PNG_DPI = 300


class Canvas:
    """Renders drawings, one after the other; not for several threads at once."""

    @cached_property
    def _figure(self) -> Figure:
        from matplotlib.backends.backend_svg import FigureCanvasSVG
        from matplotlib.figure import Figure

        figure = Figure()
        FigureCanvasSVG(figure)  # no pyplot: nothing global, nothing to close
        return figure

    def svg(self, drawing: Drawing) -> str:
        """The drawing as an `<svg>` element of the page."""
        from markupsafe import escape

        out = io.BytesIO()
        with self.drawn(drawing, PAGE) as figure:
            figure.savefig(out, format="svg", metadata=_NO_DATES["svg"])
        text = out.getvalue().decode()
        text = text[text.index("<svg") :]
        text = re.sub(r"<metadata>.*?</metadata>\s*", "", text, flags=re.DOTALL)
        text = re.sub(r'<style type="text/css">.*?</style>', "", text, flags=re.DOTALL)
        text = re.sub(r'(id="|url\(#|href="#)', rf"\g<1>{drawing.name}-", text)
        text = re.sub(r"font-family: [^;\"]+;? ?", "", text)
        text = re.sub(r"#[0-9a-f]{6}(?=[;\"])", lambda m: _variable(m.group()), text)
        return re.sub(
            r"<svg [^>]*?viewBox=\"([^\"]+)\"[^>]*>", _opening(str(escape(drawing.description))), text, count=1
        )

    def save(self, drawing: Drawing, folder: Path) -> list[Path]:
        """Write `NAME.svg`, `NAME.pdf` and `NAME.png` for a paper: white ground, black text, text as text."""
        paths = [folder / f"{drawing.name}.{form}" for form in FORMATS]
        with self.drawn(drawing, PAPER) as figure:
            for path, form in zip(paths, FORMATS, strict=True):
                with naming(path):
                    figure.savefig(path, format=form, metadata=_NO_DATES[form], dpi=PNG_DPI, facecolor=PAPER["paper"])
        return paths

    @contextmanager
    def drawn(self, drawing: Drawing, theme: Theme) -> Iterator[Figure]:
        """The figure with the drawing on it; save it inside."""
        import matplotlib as mpl

        width, height, free = drawing.width, drawing.height, drawing.margins
        inner = (width - free.left - free.right, height - free.bottom - free.top)
        with mpl.rc_context(style(theme)):  # type: ignore[arg-type]  # keys are checked when it runs
            figure = self._figure
            for old in figure.axes:
                figure.delaxes(old)  # `clear` would first build each of them anew
            figure.set_size_inches(width, height)
            axes = figure.add_axes((free.left / width, free.bottom / height, inner[0] / width, inner[1] / height))
            drawing.draw(Chart(axes, theme, inner))
            yield figure


def _variable(color: str) -> str:
    return f"var(--{_VARIABLES[color]})" if color in _VARIABLES else color


def _opening(description: str) -> str:
    label = description.replace("\\", "\\\\")
    return rf'<svg viewBox="\1" role="img" aria-label="{label}" xmlns:xlink="http://www.w3.org/1999/xlink">'
