"""Our own reasoning tasks: prompts with gold answers, and where they come from. Knows no model and no lm-eval."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lrmctl.errors import NotFoundError
from lrmctl.suggest import did_you_mean
from lrmctl.types import Prompt

DEFAULT_PROMPTS = 256  # of a task that is generated and so has no size of its own


@dataclass(frozen=True)
class ReasoningTask:
    """A fixed list of reasoning prompts; every one has a reference answer and one user message.

    Attributes:
        load: the first `limit` prompts, all (or `DEFAULT_PROMPTS`) for None; the same ones every time.
        license, url, split: printed with every result made from it.
    """

    name: str
    load: Callable[[int | None], Sequence[Prompt]]
    license: str
    url: str
    split: str


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


def reasoning_task(name: str) -> ReasoningTask:
    """The task of that name.

    Raises:
        NotFoundError: there is none.
    """
    if name not in TASKS:
        raise NotFoundError(f"there is no reasoning task called {name!r}", fix=did_you_mean(name, TASKS))
    return TASKS[name]
