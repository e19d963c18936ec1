"""Data builders: `lrmctl data build` makes demonstrations, or prompts for RL, by sampling from a model and judging.

The core is `draw -> judge or reward -> keep -> rows`; the builders differ in what they put before a prompt while it is
sampled (`kinds`). Rejection sampling of SFT recipes is a use of the same core. Knows no trainer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lrmctl._util.lazy import lazy_names

if TYPE_CHECKING:
    from lrmctl.builders.core import Draw, Sample, acceptance, chosen
    from lrmctl.builders.opinions import Opinion, Opinions
    from lrmctl.builders.plan import BuildPlan, plan_build
    from lrmctl.builders.run import BuiltData, NothingKeptError, build
    from lrmctl.builders.tasks import Task, plain_task

__all__ = [
    "BuildPlan",
    "BuiltData",
    "Draw",
    "NothingKeptError",
    "Opinion",
    "Opinions",
    "Sample",
    "Task",
    "acceptance",
    "build",
    "chosen",
    "plain_task",
    "plan_build",
]

__getattr__ = lazy_names(
    __name__,
    {
        "core": ["Draw", "Sample", "acceptance", "chosen"],
        "opinions": ["Opinion", "Opinions"],
        "plan": ["BuildPlan", "plan_build"],
        "run": ["BuiltData", "NothingKeptError", "build"],
        "tasks": ["Task", "plain_task"],
    },
)
