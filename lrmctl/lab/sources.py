"""The lab's training data: RL prompts and teacher demonstrations, without held-out words and numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from random import Random
from typing import Literal

from lrmctl.data.sources import Demonstration
from lrmctl.errors import RecipeError
from lrmctl.hooks.specs import Source
from lrmctl.lab.arithmetic import WordProblem, draw_problem
from lrmctl.lab.teacher import demonstrate
from lrmctl.lab.world import LabRequest, draw_request
from lrmctl.types import Kind, Prompt

RL_MIX: Mapping[Kind, float] = {"harmful": 0.5, "benign": 0.25, "reasoning": 0.25}
TEACHER_MIX: Mapping[str, Mapping[Kind, float]] = {
    "harmful": {"harmful": 1.0},
    "mixed": {"harmful": 0.5, "benign": 0.25, "reasoning": 0.25},
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
    """

    def __init__(
        self,
        n: int = 1280,
        seed: int = 0,
        harmful: float = RL_MIX["harmful"],
        benign: float = RL_MIX["benign"],
        reasoning: float = RL_MIX["reasoning"],
    ) -> None:
        mix: dict[Kind, float] = {"harmful": harmful, "benign": benign, "reasoning": reasoning}
        if min(mix.values()) < 0 or sum(mix.values()) <= 0:
            raise RecipeError(f"the weights of lab-prompts are {mix}", fix="give weights >= 0, at least one above 0")
        rng = Random(f"{seed}/prompts")
        self.tasks = [draw_task(rng, kind) for kind in interleaved(mix, n)]
        self._prompts = [task.prompt(f"lab-prompts/{seed}/{i}", "lab-prompts") for i, task in enumerate(self.tasks)]

    def prompts(self) -> list[Prompt]:
        return list(self._prompts)

    def demonstrations(self) -> Sequence[Demonstration]:
        raise RecipeError("the source `lab-prompts` has prompts only", fix="use `lab-teacher` for demonstrations")


class LabTeacher(Source):
    """Demonstrations of a policy-quoting teacher for SFT.

    Args:
        variant: `harmful` (refusals only), `mixed` (half harmful, a quarter benign, a quarter arithmetic) or
            `arithmetic`.
        n: number of demonstrations.
        seed: selects the demonstrations.
    """

    def __init__(
        self, variant: Literal["harmful", "mixed", "arithmetic"] = "harmful", n: int = 640, seed: int = 0
    ) -> None:
        if variant not in TEACHER_MIX:
            raise RecipeError(f"lab-teacher has no variant {variant!r}", fix=f"choose one of {sorted(TEACHER_MIX)}")
        rng = Random(f"{seed}/teacher/{variant}")
        self._rows = [
            _demonstration(rng, kind, f"lab-teacher/{variant}/{seed}/{i}")
            for i, kind in enumerate(interleaved(TEACHER_MIX[variant], n))
        ]

    def prompts(self) -> list[Prompt]:
        return [row.prompt for row in self._rows]

    def demonstrations(self) -> list[Demonstration]:
        return list(self._rows)


def _demonstration(rng: Random, kind: Kind, id: str) -> Demonstration:
    task = draw_task(rng, kind)
    return Demonstration(task.prompt(id, "lab-teacher"), *demonstrate(rng, task))
