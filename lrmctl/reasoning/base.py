"""The nouns of reasoning: a task, what it says of one trace, and a result. Knows no data set, model or lm-eval."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lrmctl.engines.base import Sampling
from lrmctl.types import Prompt, Trace


@dataclass(frozen=True)
class GradedTrace:
    """What a task says of one trace.

    Attributes:
        correct: None if it could not be graded: generation failed, or the task knows no right and wrong. Cut or
            unclosed thinking is False.
        extracted: the final answer as it was read; None where there is none.
        scores: further metrics of this trace, by name.
    """

    correct: bool | None
    extracted: str | None = None
    scores: Mapping[str, float] = field(default_factory=dict)


def answered(trace: Trace) -> bool:
    """Whether there is an answer at all: the model ended it itself, and its thinking before."""
    return trace.finish_reason == "stop" and trace.thinking_state != "unclosed"


def graded(trace: Trace, read: Callable[[str], GradedTrace]) -> GradedTrace:
    """What `read` says of the answer segment, if there is an answer."""
    if trace.finish_reason == "error":
        return GradedTrace(None)
    return read(trace.answer) if answered(trace) else GradedTrace(False)


def _no_totals(_graded: Sequence[GradedTrace]) -> Mapping[str, float]:
    return {}


@dataclass(frozen=True)
class ReasoningTask:
    """A fixed list of reasoning prompts, and how their answers are graded.

    Attributes:
        load: the first `limit` prompts, all for None (a generated task: as many as it says); the same every time.
        license, url, split: printed with every result made from it.
        grade: what it says of a trace; from threads too.
        grader: name and version of what grades.
        provenance: where the prompts came from: file or hub revision, sha256, rows. Loads the data.
        totals: figures of the whole task that are no means over prompts, from what was said of every trace.
        parts: the tasks of a group, which are run in its place.
        regrades: whether `grade` can say anew what it said of a stored trace.
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
        """The tasks that are run: those of a group, else this one."""
        return self.parts or (self,)


@dataclass(frozen=True)
class TaskResult:
    """One task at one sampling.

    Attributes:
        sampling: greedy where log-likelihoods were compared.
        traces: by prompt, then sample.
        graded: one per trace.
        reported: what lm-eval itself reports, by metric name (`correct`, `cut`, `unclosed` of our own tasks); of
            several samples the mean.
    """

    task: ReasoningTask
    sampling: Sampling
    traces: tuple[Trace, ...]
    graded: tuple[GradedTrace, ...]
    reported: Mapping[str, float]
