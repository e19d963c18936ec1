"""The report's figures: each takes plain numbers and gives a `Drawing`, which is rendered for a page or for a paper.

Knows no files and no run folders. Colour never carries meaning alone; what is missing is left out of a figure, and the
page says that it is missing.
"""

from __future__ import annotations

from lrmctl.reporting.figures.drawing import ArmStyle, Chart, Drawing, PlottedEstimate, arm_styles, estimate
from lrmctl.reporting.figures.lines import step_estimates, training_curves
from lrmctl.reporting.figures.render import Canvas
from lrmctl.reporting.figures.rows import Mark, forest, interval_rows
from lrmctl.reporting.figures.scatter import tradeoff
from lrmctl.reporting.figures.strips import Strip, curve_strips, histogram_strips

__all__ = [
    "ArmStyle",
    "Canvas",
    "Chart",
    "Drawing",
    "Mark",
    "PlottedEstimate",
    "Strip",
    "arm_styles",
    "curve_strips",
    "estimate",
    "forest",
    "histogram_strips",
    "interval_rows",
    "step_estimates",
    "tradeoff",
    "training_curves",
]
