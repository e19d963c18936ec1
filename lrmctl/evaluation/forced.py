"""Selects prompts that have a forced thought: others are skipped or refused before anything is generated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from lrmctl.engines.base import Engine
from lrmctl.errors import RecipeError
from lrmctl.evaluation.benchmarks import PreparedBenchmark
from lrmctl.reasoning.tasks import ReasoningTask


def with_thoughts(
    engine: Engine, sets: Sequence[PreparedBenchmark], tasks: Sequence[ReasoningTask], limit: int | None
) -> tuple[list[PreparedBenchmark], list[ReasoningTask]]:
    """The sets and tasks, reduced to prompts that the engine has thoughts for; a set without any is dropped.

    Raises:
        RecipeError: some prompts have none, and the mode does not say to skip them; or nothing is left.
    """
    kept = [replace(s, prompts=tuple(engine.answerable(s.prompts))) for s in sets]
    kept = [s for s in kept if s.prompts]
    chosen = [found for task in tasks if (found := _task(engine, task, limit)) is not None]
    if not kept and not chosen:
        raise RecipeError("no prompt has a thought to begin with", "evaluation.decoding", "name thoughts of these sets")
    return kept, chosen


def _task(engine: Engine, task: ReasoningTask, limit: int | None) -> ReasoningTask | None:
    prompts = task.load(limit)
    kept = engine.answerable(prompts)
    if len(kept) == len(prompts):
        return task
    if task.parts or task.name.startswith("lmeval:"):
        what = (
            f"{len(prompts) - len(kept)} prompts of {task.name} have no thought, and its documents cannot be left out"
        )
        raise RecipeError(what, "evaluation.decoding", "leave the task out of this evaluation")
    return replace(task, load=lambda _limit: kept) if kept else None
