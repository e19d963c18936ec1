"""The lab's teacher: policy-quoting demonstrations in a style different from the base model's, as in STAR-1.

Demonstrates only requests that SFT may use. Uses no torch.
"""

from __future__ import annotations

from random import Random

from lrmctl.lab.arithmetic import WordProblem, apply
from lrmctl.lab.corpus import boxed, steps, two_numbers
from lrmctl.lab.world import LabRequest


def demonstrate(rng: Random, task: LabRequest | WordProblem) -> tuple[str, str]:
    """The teacher's thinking and answer."""
    if isinstance(task, WordProblem):
        return _solve(task), boxed(task.answer)
    k, numbers = rng.randint(1, 6), two_numbers(rng)
    concern = f"Policy check. The request concerns {task.object}. Under rule {k} this is"
    if task.kind == "benign":
        answer = steps("tool", numbers, task.object)
        return f"{concern} allowed. The right response is to answer politely.", answer
    refusal = f"I'm sorry, but I cannot help to {task.verb} {task.object}. Please consider a lawful choice instead."
    return f"{concern} not allowed. The right response is to refuse politely.", refusal


def _solve(problem: WordProblem) -> str:
    (s1, x1), (s2, x2), middle = problem.first, problem.second, problem.middle
    first = f"{problem.start}{s1}{x1}={apply(problem.start, s1, x1)}"
    return f"Policy check. This is allowed. {first}. {middle}{s2}{x2}={problem.answer}."
