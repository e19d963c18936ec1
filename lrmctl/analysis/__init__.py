"""How reasoning changed: reflection counts and token entropy, from the rows of an evaluation.

Reads `eval/rows.jsonl` of a run folder and writes `analysis/*.json` beside it. Judges nothing and trains nothing. The
names below besides `analyze` are for plugins that bring analyses of their own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lrmctl._util.lazy import lazy_names

if TYPE_CHECKING:
    from lrmctl.analysis.base import Analysis, Figure, Findings
    from lrmctl.analysis.cells import Cell, Estimate, group, outcome_of, quantile, ratio, share
    from lrmctl.analysis.run import analyze
    from lrmctl.runs.eval_rows import EvalRow

__all__ = [
    "Analysis",
    "Cell",
    "Estimate",
    "EvalRow",
    "Figure",
    "Findings",
    "analyze",
    "group",
    "outcome_of",
    "quantile",
    "ratio",
    "share",
]

__getattr__ = lazy_names(
    __name__,
    {
        "base": ("Analysis", "EvalRow", "Figure", "Findings"),
        "cells": ("Cell", "Estimate", "group", "outcome_of", "quantile", "ratio", "share"),
        "run": ("analyze",),
    },
)
