"""Training runs, from a recipe to a finished model.

`plan_training` decides everything, `execute` runs the plan in a run folder, and `train` does both.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lrmctl._util.lazy import lazy_names

if TYPE_CHECKING:
    from lrmctl.training.plan import Continuation, TrainingPlan, plan_training
    from lrmctl.training.rejection import rejection_sample
    from lrmctl.training.run import execute, train

__all__ = [
    "Continuation",
    "TrainingPlan",
    "execute",
    "plan_training",
    "rejection_sample",
    "train",
]

__getattr__ = lazy_names(
    __name__,
    {
        "plan": ["Continuation", "TrainingPlan", "plan_training"],
        "run": ["execute", "train"],
        "rejection": ["rejection_sample"],
    },
)
