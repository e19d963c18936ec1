"""The bridge to lm-evaluation-harness. Only files in here import it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lrmctl._util.lazy import lazy_names

if TYPE_CHECKING:
    from lrmctl.reasoning.lm_eval.external.task import lmeval_task
    from lrmctl.reasoning.lm_eval.ifeval import check_word_data, checkers_version, grade_instructions, totals
    from lrmctl.reasoning.lm_eval.run import TaskResult, run_tasks

__all__ = [
    "TaskResult",
    "check_word_data",
    "checkers_version",
    "grade_instructions",
    "lmeval_task",
    "run_tasks",
    "totals",
]

__getattr__ = lazy_names(
    __name__,
    {
        "external.task": ("lmeval_task",),
        "ifeval": (
            "check_word_data",
            "checkers_version",
            "grade_instructions",
            "totals",
        ),
        "run": (
            "TaskResult",
            "run_tasks",
        ),
    },
)
