"""Runs reasoning tasks through lm-evaluation-harness: lm-eval builds, scores and aggregates; our engine and store
answer.

Only modules in this folder import lm_eval. Its defaults that harm reasoning models are avoided: its stop texts would
end the thinking, its default filter would score the first sample only, its text answers would not show whether the
thinking was closed, and its cache keys do not contain the model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from lrmctl.engines.base import Engine, OnProgress, Sampling
from lrmctl.engines.store import Store, distinct_samples
from lrmctl.errors import RecipeError
from lrmctl.reasoning.base import ReasoningTask, TaskResult
from lrmctl.reasoning.lm_eval.adapter import AnswerSegment, SampledTask, evaluate, make_lm
from lrmctl.reasoning.lm_eval.builtin import OwnRun
from lrmctl.reasoning.lm_eval.external.run import ExternalRun
from lrmctl.reasoning.lm_eval.external.task import ExternalTask

__all__ = ["AnswerSegment", "TaskResult", "run_tasks"]


class _Run(Protocol):
    """One task at one sampling, while it passes through lm-eval."""

    @property
    def chat(self) -> bool:
        """Whether prompts are rendered with the chat template."""
        ...

    def lm_tasks(self) -> Mapping[str, Any]:
        """lm-eval's tasks by name."""
        ...

    def cells(self) -> Mapping[str, SampledTask]: ...

    def result(self, found: Mapping[str, tuple[Any, Any]]) -> TaskResult:
        """The result, from lm-eval's (results, samples) by name."""
        ...


def run_tasks(
    engine: Engine,
    store: Store,
    tasks: Sequence[ReasoningTask],
    sampling: Sequence[Sampling],
    samples: int,
    seed: int,
    limit: int | None = None,
    on_progress: OnProgress | None = None,
) -> list[TaskResult]:
    """Run every task at every sampling, generating everything at once so that batches are full; resumable.

    Log-likelihood tasks are run once, whatever the samplings: nothing is sampled.

    Returns:
        By task, a group's parts in its place, then sampling.

    Raises:
        RecipeError: a task is given twice, or needs log-likelihoods, which the engine does not support.
    """
    each = [part for task in tasks for part in task.each]
    names = [task.name for task in each]
    if twice := [name for name in names if names.count(name) > 1]:
        raise RecipeError(f"the task {twice[0]!r} is listed twice", "evaluation.reasoning", "keep one of the two")
    if any(not task.generated for task in each):
        engine.require("loglikelihood")
    runs = [run for number, task in enumerate(each) for run in _runs(f"{number}", task, sampling, samples, limit)]
    found: dict[str, tuple[Any, Any]] = {}
    for chat in (True, False):
        some = [run for run in runs if run.chat == chat]
        cells = {name: cell for run in some for name, cell in run.cells().items()}
        asked = {name: made for run in some for name, made in run.lm_tasks().items()}
        if asked:
            done = evaluate(make_lm(engine, store, cells, seed, on_progress), asked, chat=chat)
            found |= {name: (done["results"][name], done["samples"][name]) for name in asked}
    if on_progress:
        each_prompt = sum(distinct_samples(how, samples) for how in sampling)
        total = each_prompt * sum(len(task.load(limit)) for task in each)  # as if no log-likelihoods were needed
        on_progress(total, total)
    return [run.result(found) for run in runs]


def _runs(
    label: str, task: ReasoningTask, sampling: Sequence[Sampling], samples: int, limit: int | None
) -> Sequence[_Run]:
    if not isinstance(task, ExternalTask):
        return [OwnRun(f"{task.name}@{label}.{i}", task, how, samples, limit) for i, how in enumerate(sampling)]
    if task.generated:
        return [ExternalRun(f"{task.name}@{label}.{i}", task, how, samples, limit) for i, how in enumerate(sampling)]
    return [ExternalRun(f"{task.name}@{label}", task, Sampling(0.0), 1, limit)]
