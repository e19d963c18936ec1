"""The lab's training data: RL prompts and teacher demonstrations, without held-out words and numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from random import Random
from typing import Literal

from lrmctl.data.sources import Demonstration
from lrmctl.errors import RecipeError
from lrmctl.hooks.specs import Source
from lrmctl.lab.arithmetic import WordProblem, draw_problem
from lrmctl.lab.corpus import helping, refusing, solved
from lrmctl.lab.teacher import demonstrate
from lrmctl.lab.world import LabRequest, draw_request
from lrmctl.types import Kind, Prompt

RL_MIX: Mapping[Kind, float] = {"harmful": 0.5, "benign": 0.25, "reasoning": 0.25}
TEACHER_MIX: Mapping[str, Mapping[Kind, float]] = {
    "harmful": {"harmful": 1.0},
    "mixed": {"harmful": 0.5, "benign": 0.25, "reasoning": 0.25},
    "harmless": {"benign": 0.5, "reasoning": 0.5},
    "arithmetic": {"reasoning": 1.0},
}


def interleaved(mix: Mapping[Kind, float], n: int) -> Iterator[Kind]:
    """`n` kinds, evenly interleaved: every prefix is as close to the weights as integers allow."""
    total, given = sum(mix.values()), dict.fromkeys(mix, 0)
    for i in range(1, n + 1):
        kind = max(mix, key=lambda k: mix[k] / total * i - given[k])
        given[kind] += 1
        yield kind


def draw_task(rng: Random, kind: Kind) -> LabRequest | WordProblem:
    """A request or problem of this kind that training may use."""
    return draw_problem(rng, "in") if kind == "reasoning" else draw_request(rng, kind, "in")


class LabPrompts(Source):
    """Prompts for RL.

    Args:
        n: number of prompts.
        seed: selects the prompts.
        harmful, benign, reasoning: weights of the kinds, which are evenly interleaved.
        policy: whether harmful and benign prompts say which kinds of answer are right (`response_policy`): a safe
            alternative for plain harmful requests, a refusal without one where the wrapper is jailbreak-like, help for
            benign ones.
    """

    def __init__(
        self,
        n: int = 1280,
        seed: int = 0,
        harmful: float = RL_MIX["harmful"],
        benign: float = RL_MIX["benign"],
        reasoning: float = RL_MIX["reasoning"],
        policy: bool = False,
    ) -> None:
        mix: dict[Kind, float] = {"harmful": harmful, "benign": benign, "reasoning": reasoning}
        if min(mix.values()) < 0 or sum(mix.values()) <= 0:
            raise RecipeError(f"the weights of lab-prompts are {mix}", fix="give weights >= 0, at least one above 0")
        rng = Random(f"{seed}/prompts")
        self.tasks = [draw_task(rng, kind) for kind in interleaved(mix, n)]
        self._prompts = [_prompt(task, f"lab-prompts/{seed}/{i}", policy) for i, task in enumerate(self.tasks)]

    def prompts(self) -> list[Prompt]:
        return list(self._prompts)

    def demonstrations(self) -> Sequence[Demonstration]:
        raise RecipeError("the source `lab-prompts` has prompts only", fix="use `lab-teacher` for demonstrations")


def _prompt(task: LabRequest | WordProblem, id: str, policy: bool) -> Prompt:
    if isinstance(task, LabRequest):
        return task.prompt(id, "lab-prompts", policy=policy)
    return task.prompt(id, "lab-prompts")


class LabTeacher(Source):
    """Demonstrations of a policy-quoting teacher for SFT, or partly in the base model's words.

    Args:
        variant: `harmful` (refusals only), `mixed` (half harmful, a quarter benign, a quarter arithmetic), `harmless`
            (half benign, half arithmetic) or `arithmetic`.
        n: number of demonstrations.
        seed: selects the demonstrations.
        own: share of the demonstrations, from 0 to 1, that are in the base model's words: they refuse with a reason,
            where the teacher names a lawful choice.
    """

    def __init__(
        self,
        variant: Literal["harmful", "mixed", "harmless", "arithmetic"] = "harmful",
        n: int = 640,
        seed: int = 0,
        own: float = 0.0,
    ) -> None:
        if variant not in TEACHER_MIX:
            raise RecipeError(f"lab-teacher has no variant {variant!r}", fix=f"choose one of {sorted(TEACHER_MIX)}")
        if not 0 <= own <= 1:
            raise RecipeError(f"`own` of lab-teacher is {own}", fix="give a share from 0 to 1")
        rng = Random(f"{seed}/teacher/{variant}")
        self._rows = [
            _demonstration(rng, kind, f"lab-teacher/{variant}/{seed}/{i}", own)
            for i, kind in enumerate(interleaved(TEACHER_MIX[variant], n))
        ]

    def prompts(self) -> list[Prompt]:
        return [row.prompt for row in self._rows]

    def demonstrations(self) -> list[Demonstration]:
        return list(self._rows)


def _demonstration(rng: Random, kind: Kind, id: str, own: float) -> Demonstration:
    task = draw_task(rng, kind)
    if own and rng.random() < own:
        return Demonstration(task.prompt(id, "lab-teacher"), *in_own_words(rng, task))
    return Demonstration(task.prompt(id, "lab-teacher"), *demonstrate(rng, task))


def in_own_words(rng: Random, task: LabRequest | WordProblem) -> tuple[str, str]:
    """A good thinking and answer as the base model writes them."""
    if isinstance(task, WordProblem):
        found = solved(rng, task, right=True)
    else:
        found = refusing(rng, task) if task.kind == "harmful" else helping(rng, task)
    return found.thinking, found.answer
