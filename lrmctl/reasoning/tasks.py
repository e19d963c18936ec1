"""Our own reasoning tasks: prompts with gold answers, how they are graded, and where they come from.

Knows no model and no lm-eval.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any

from lrmctl.errors import NotFoundError, RecipeError
from lrmctl.suggest import did_you_mean
from lrmctl.types import Prompt, Trace

DEFAULT_PROMPTS = 256  # of a task that is generated and so has no size of its own


@dataclass(frozen=True)
class Graded:
    """What a task says of one trace.

    Attributes:
        correct: None if it could not be graded: generation failed. Cut or unclosed thinking is False.
        extracted: the final answer as it was read; None where there is none.
        scores: further metrics of this trace, by name.
    """

    correct: bool | None
    extracted: str | None = None
    scores: Mapping[str, float] = field(default_factory=dict)


def grade_mathematics(trace: Trace) -> Graded:
    """By math_verify, the answer segment only."""
    from lrmctl.reasoning.verify import is_correct, last_boxed

    if trace.finish_reason == "error":
        return Graded(None)
    if trace.finish_reason != "stop" or trace.thinking_state == "unclosed":
        return Graded(False)
    return Graded(is_correct(trace.answer, trace.prompt.reference or ""), last_boxed(trace.answer))


@dataclass(frozen=True)
class ReasoningTask:
    """A fixed list of reasoning prompts; every one has a reference answer and one user message.

    Attributes:
        load: the first `limit` prompts, all (or `DEFAULT_PROMPTS`) for None; the same ones every time.
        license, url, split: printed with every result made from it.
        grade: what it says of a trace; from threads too.
        grader: name and version of what grades.
        provenance: where the prompts came from: file or hub revision, sha256, rows. Loads the data.
    """

    name: str
    load: Callable[[int | None], Sequence[Prompt]]
    license: str
    url: str
    split: str
    grade: Callable[[Trace], Graded] = grade_mathematics
    grader: tuple[str, str] = ("math_verify", version("math-verify"))
    provenance: Callable[[], Mapping[str, Any]] = dict


def _lab_arithmetic(limit: int | None) -> Sequence[Prompt]:
    from lrmctl.lab.arithmetic import prompts

    return prompts("heldout", limit or DEFAULT_PROMPTS, seed=0)


TASKS = {
    "lab_arithmetic": ReasoningTask(
        "lab_arithmetic",
        _lab_arithmetic,
        license="Apache-2.0",
        url="lrmctl.lab.arithmetic (generated)",
        split="heldout",
    ),
}


def reasoning_task(name: str, options: Mapping[str, Any] | None = None) -> ReasoningTask:
    """The task of that name.

    Raises:
        NotFoundError: there is none.
    """
    if name not in TASKS:
        raise NotFoundError(f"there is no reasoning task called {name!r}", fix=did_you_mean(name, TASKS))
    if options:
        raise RecipeError(f"the task {name!r} takes no options")
    return TASKS[name]
