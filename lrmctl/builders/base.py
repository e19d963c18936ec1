"""What all builders share: what a sample's faults are, and what a builder decides besides judges and reward."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from lrmctl.builders.opinions import Opinion, Opinions
from lrmctl.builders.tasks import Task, plain_task
from lrmctl.data.sources import load_prompts, unfit
from lrmctl.engines.base import Engine
from lrmctl.recipe.schema.recipes import DataRecipe
from lrmctl.types import Prompt, Trace


def fault_of(trace: Trace) -> str:
    """Why a sample is no demonstration; empty if it is one."""
    if trace.finish_reason == "length":
        return "cut at max_new_tokens"
    if trace.thinking_state in ("unclosed", "absent"):
        return f"thinking {trace.thinking_state}"
    if trace.answer_only:
        return "" if trace.answer.strip() else "an empty answer"
    return unfit(trace.thinking, trace.answer, trace.irregular)


class Builder:
    """Rejection sampling, and the base of all builders.

    Attributes:
        writes: what the rows are: `demonstrations`, `pairs`, `rates` (prompts with a pass rate) or `annotated` prompts.
        left_out: prompts and completions that nothing is drawn for, by reason; known after `tasks`.
    """

    writes: Literal["demonstrations", "pairs", "rates", "annotated"] = "demonstrations"

    def __init__(self, recipe: DataRecipe) -> None:
        self.recipe = recipe
        self.options: Any = recipe.build
        self.left_out: Counter[str] = Counter()

    def tasks(self) -> list[Task]:
        """What to draw, in the order of the rows.

        Raises:
            LrmctlError: a source, file or run cannot be read.
        """
        return [self.task(prompt) for prompt in load_prompts(self.recipe.prompts, seed=self.recipe.seed)]

    def task(self, prompt: Prompt) -> Task:
        """What to draw for one prompt."""
        return plain_task(prompt)

    def engine(self, engine: Engine, tasks: Sequence[Task], folder: Path) -> Engine:  # noqa: ARG002
        """The engine to draw with; the recipe's by default.

        Args:
            folder: for files that the engine needs.
        """
        return engine

    def check(self, opinions: Opinions) -> None:
        """Refuse a reward that this builder cannot use.

        Raises:
            RecipeError: it cannot.
        """

    def before_judging(self, tasks: Sequence[Task], folder: Path) -> None:
        """Ask what the builder needs to know before samples are judged; nothing by default.

        Args:
            folder: of the run, for what is asked once.

        Raises:
            RewardError: rewards failed beyond what the recipe's `on_failure` tolerates.
        """

    def fault(self, task: Task, sample: Trace, opinion: Opinion) -> str:  # noqa: ARG002
        """Why a sample is dropped, besides what judges and reward say; empty if it is not."""
        return fault_of(sample) if self.recipe.keep.closed_thinking else ""

    def meta(self, task: Task, sample: Trace) -> dict[str, Any]:  # noqa: ARG002
        """More columns of a sample's row."""
        return {}
