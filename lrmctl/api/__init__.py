"""The Python API: what the commands do, as functions, for notebooks and scripts.

`import lrmctl` offers all of it (`lrmctl.train`, `lrmctl.evaluate`, ...), loaded on first use. The commands call the
same functions, so that a notebook and a shell give the same results.
"""

from __future__ import annotations

from lrmctl.api.analysis import analyze
from lrmctl.api.evaluation import evaluate, evaluate_checkpoints
from lrmctl.api.plugins import make_judge, make_reward
from lrmctl.api.publishing import Published, publish
from lrmctl.api.results import Evaluation, Run, load_run
from lrmctl.api.side_by_side import compare, report, study
from lrmctl.api.training import train

__all__ = [
    "Evaluation",
    "Published",
    "Run",
    "analyze",
    "compare",
    "evaluate",
    "evaluate_checkpoints",
    "load_run",
    "make_judge",
    "make_reward",
    "publish",
    "report",
    "study",
    "train",
]
