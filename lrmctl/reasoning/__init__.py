"""Reasoning tasks: their prompts, and how final answers are graded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lrmctl._util.lazy import lazy_names

if TYPE_CHECKING:
    from lrmctl.reasoning.base import GradedTrace, ReasoningTask, TaskResult, answered, graded
    from lrmctl.reasoning.tasks import TaskFacts, reasoning_task, task_names

__all__ = [
    "GradedTrace",
    "ReasoningTask",
    "TaskFacts",
    "TaskResult",
    "answered",
    "graded",
    "reasoning_task",
    "task_names",
]

__getattr__ = lazy_names(
    __name__,
    {
        "base": (
            "GradedTrace",
            "ReasoningTask",
            "TaskResult",
            "answered",
            "graded",
        ),
        "tasks": (
            "TaskFacts",
            "reasoning_task",
            "task_names",
        ),
    },
)
