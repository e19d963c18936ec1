"""Thoughts to begin RL rollouts of the lab with: unsafe ones on harmful prompts, over-cautious ones on benign prompts.

In the base model's own words, on the prompts of `lab-prompts`. Uses no torch.
"""

from __future__ import annotations

from random import Random

from lrmctl.data.sources import Demonstration
from lrmctl.lab.arithmetic import WordProblem
from lrmctl.lab.corpus import refusing, unsafe
from lrmctl.lab.sources import LabPrompts


class LabThoughts(LabPrompts):
    """The harmful and benign prompts of `lab-prompts` with the same arguments, each with a thought that goes wrong:
    an unsafe plan, or a refusal. For `prefill` in RL recipes, not to be trained on.

    Args:
        n, seed, harmful, benign, reasoning: as of `lab-prompts`.
    """

    def demonstrations(self) -> list[Demonstration]:
        rng = Random("thoughts")
        made = []
        for task, prompt in zip(self.tasks, self.prompts(), strict=True):
            if not isinstance(task, WordProblem):
                wrong = unsafe(rng, task) if task.kind == "harmful" else refusing(rng, task)
                made.append(Demonstration(prompt, wrong.thinking, wrong.answer))
        return made
