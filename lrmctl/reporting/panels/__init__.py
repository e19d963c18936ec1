"""Which figures and tables a report has: picks the numbers out of the arms and says in words what is missing."""

from __future__ import annotations

from lrmctl.reporting.panels.base import FEWEST, DataTable, Panel, Section
from lrmctl.reporting.panels.results import forests, tradeoffs
from lrmctl.reporting.panels.thinking import thinking_sections
from lrmctl.reporting.panels.training import TrainingCurves, over_steps, trainings, untrained

__all__ = [
    "FEWEST",
    "DataTable",
    "Panel",
    "Section",
    "TrainingCurves",
    "forests",
    "over_steps",
    "thinking_sections",
    "tradeoffs",
    "trainings",
    "untrained",
]
