"""Shared-prefix pairs by intervening in unsafe thoughts; the idea is described in `lrmctl.data.pairs.intervene`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lrmctl.builders.base import Builder, fault_of
from lrmctl.builders.opinions import Opinion, Opinions
from lrmctl.builders.tasks import Task, completions, goes_on_from_text, wanted
from lrmctl.data.pairs.intervene import PlacedTrigger, placed_triggers, triggers
from lrmctl.data.pairs.pair import PreferencePair, Response
from lrmctl.engines.base import Engine
from lrmctl.errors import RecipeError
from lrmctl.types import Trace


@dataclass(frozen=True, kw_only=True)
class IntervenedTask(Task):
    """A thought to go on from.

    Attributes:
        asked: the row's prompt under an id of its own, as several traces of one prompt may be led another way.
        place: the trace, its beginning and the trigger.
    """

    place: PlacedTrigger


class Intervene(Builder):
    """See `lrmctl.recipe.schema.build.Intervene`."""

    writes = "pairs"

    def __init__(self, recipe: Any) -> None:
        super().__init__(recipe)
        self._rejected: dict[str, float | None] = {}

    def tasks(self) -> list[Task]:
        from lrmctl.lexicons import get_lexicon

        o = self.options
        rows = wanted(completions(o.of), o.only, self.left_out)
        words = o.triggers or [one.text for one in triggers().values()]
        return [_task(place) for place in placed_triggers(rows, get_lexicon(o.cues), words, self.left_out)]

    def engine(self, engine: Engine, tasks: Sequence[Task], folder: Path) -> Engine:  # noqa: ARG002
        """An engine that begins each thought as it was before the cue, and then with the trigger.

        Raises:
            RecipeError: the engine renders prompts itself, and so cannot go on from text.
        """
        from lrmctl.engines.decoding.engine import begun

        goes_on_from_text(engine, "an intervention")
        return begun(engine, {task.asked.id: _place(task).start for task in tasks})

    def check(self, opinions: Opinions) -> None:
        """Refuse a reward that compares samples: the rejected side is not one of them."""
        if "harmful" in opinions.compared_kinds:
            what = "the reward compares the samples of a prompt, and the rejected side is none of them"
            raise RecipeError(what, "keep.reward", "take a reward that scores every response by itself")

    def before_judging(self, tasks: Sequence[Task], folder: Path) -> None:
        """Score the rejected sides with the recipe's reward, if it has one."""
        if self.recipe.keep.reward is None:
            return
        opinions = Opinions(self.recipe.keep.model_copy(update={"judges": ()}), folder / "data" / "rejected.jsonl")
        scored = opinions.of([_place(task).trace for task in tasks])
        self._rejected = {task.asked.id: one.reward for task, one in zip(tasks, scored, strict=True)}

    def fault(self, task: Task, sample: Trace, opinion: Opinion) -> str:
        """Why a continuation is no chosen side, or no better than the rejected one."""
        if why := fault_of(sample):
            return why
        if not sample.thinking.startswith(_place(task).start):
            return "thinking that does not begin as given"
        if flaw := self.pair(task, sample, opinion).flaw:
            return flaw
        if opinion.reward is None:  # there is none, or it failed, which is counted elsewhere
            return ""
        rejected = self._rejected[task.asked.id]
        if rejected is None:
            return "the reward failed on the rejected side"
        return "" if opinion.reward > rejected else "no better than the rejected side"

    def pair(self, task: Task, sample: Trace, opinion: Opinion) -> PreferencePair:
        """The pair of a continuation; with a reward both sides' are in its `meta`."""
        place = _place(task)
        pair = place.pair(Response(sample.thinking.removeprefix(place.start), sample.answer))
        if opinion.reward is None:
            return pair
        rewards = {"chosen_reward": opinion.reward, "rejected_reward": self._rejected.get(task.asked.id)}
        return replace(pair, prompt=replace(pair.prompt, meta={**pair.prompt.meta, **rewards}))


def _task(place: PlacedTrigger) -> IntervenedTask:
    prompt = place.trace.prompt
    return IntervenedTask(replace(prompt, id=f"{prompt.id}/trace-{place.row.row.number}"), prompt, place=place)


def _place(task: Task) -> PlacedTrigger:
    assert isinstance(task, IntervenedTask)
    return task.place
