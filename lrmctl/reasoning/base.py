"""The nouns of reasoning: a task, a graded trace, and a result. Knows no data set, model or lm-eval."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lrmctl.engines.base import Sampling
from lrmctl.types import Prompt, Trace


@dataclass(frozen=True)
class GradedTrace:
    """A task's grading of one trace.

    Attributes:
        correct: None if it could not be graded: generation failed, or the task has no right or wrong. Truncated or
            unclosed thinking is False.
        extracted: the parsed final answer; None if there is none.
        scores: further metrics of this trace, by name.
    """

    correct: bool | None
    extracted: str | None = None
    scores: Mapping[str, float] = field(default_factory=dict)


def answered(trace: Trace) -> bool:
    """Whether there is an answer at all: the model ended it itself, after closing its thinking."""
    return trace.finish_reason == "stop" and trace.thinking_state != "unclosed"


def graded(trace: Trace, read: Callable[[str], GradedTrace]) -> GradedTrace:
    """The grading of the answer segment by `read`, if there is an answer."""
    if trace.finish_reason == "error":
        return GradedTrace(None)
    return read(trace.answer) if answered(trace) else GradedTrace(False)


def _no_totals(_graded: Sequence[GradedTrace]) -> Mapping[str, float]:
    return {}


@dataclass(frozen=True)
class ReasoningTask:
    """A fixed list of reasoning prompts, and how their answers are graded.

    Attributes:
        load: the first `limit` prompts, all for None (a generated task: its configured number); always the same ones.
        license, url, split: printed with every result made from it.
        grade: grades a trace; thread-safe.
        grader: name and version of the grader.
        provenance: where the prompts came from: file or hub revision, sha256, rows. Loads the data.
        totals: metrics of the whole task that are not means over prompts, from all graded traces.
        parts: the tasks of a group, which are run instead of it.
        regrades: whether `grade` can grade a stored trace again.
        generated: whether the model writes an answer; otherwise log-likelihoods are compared.
    """

    name: str
    load: Callable[[int | None], Sequence[Prompt]]
    license: str
    url: str
    split: str
    grade: Callable[[Trace], GradedTrace]
    grader: tuple[str, str]
    provenance: Callable[[], Mapping[str, Any]] = dict
    totals: Callable[[Sequence[GradedTrace]], Mapping[str, float]] = _no_totals
    parts: tuple[ReasoningTask, ...] = ()
    regrades: bool = True
    generated: bool = True

    @property
    def each(self) -> tuple[ReasoningTask, ...]:
        """The tasks to run: those of a group, else this one."""
        return self.parts or (self,)


@dataclass(frozen=True)
class TaskResult:
    """One task at one sampling.

    Attributes:
        sampling: greedy for log-likelihood tasks.
        traces: by prompt, then sample.
        graded: one per trace.
        reported: lm-eval's own metrics by name (`correct`, `cut`, `unclosed` for our own tasks); for several samples
            the mean.
    """

    task: ReasoningTask
    sampling: Sampling
    traces: tuple[Trace, ...]
    graded: tuple[GradedTrace, ...]
    reported: Mapping[str, float]
