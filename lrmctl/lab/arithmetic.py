r"""Two-step word problems, the lab's reasoning task; the answer in `\boxed{}` must equal the gold answer.

A quarter of the number triples is held out from SFT and RL. Uses no torch and knows nothing of requests.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from lrmctl.lab.world import Split
from lrmctl.types import Prompt

LARGEST_NUMBER = 25
NAMES = ("Tom", "Ann", "Ben", "Eva", "Sam", "Mia", "Leo", "Zoe", "Max", "Ida")
ITEMS = ("apples", "pens", "coins", "books", "cards", "shells", "stamps", "balls")
CHANGES = {
    "+": ("finds {x} more", "buys {x} more", "gets {x} more"),
    "-": ("gives away {x}", "loses {x}", "sells {x}"),
}


def apply(left: int, sign: str, right: int) -> int:
    return left + right if sign == "+" else left - right


@dataclass(frozen=True)
class WordProblem:
    """`start`, changed by `first` and then by `second`, each a sign and a number; no intermediate value is negative."""

    text: str
    name: str
    item: str
    start: int
    first: tuple[str, int]
    second: tuple[str, int]

    @property
    def middle(self) -> int:
        return apply(self.start, *self.first)

    @property
    def answer(self) -> int:
        return apply(self.middle, *self.second)

    def prompt(self, id: str, source: str) -> Prompt:
        return Prompt.user(id, self.text, "reasoning", source=source, reference=str(self.answer))


def is_heldout(start: int, first: int, second: int) -> bool:
    """Whether this triple of numbers is held out from SFT and RL."""
    return (start + 3 * first + 5 * second) % 4 == 0


def _draw(rng: Random) -> WordProblem:
    name, item = rng.choice(NAMES), rng.choice(ITEMS)
    start, x1, x2 = rng.randint(4, 15), rng.randint(2, 5), rng.randint(2, 5)
    sign1, sign2 = rng.choice("+-"), rng.choice("+-")
    change1, change2 = (rng.choice(CHANGES[s]).format(x=x) for s, x in ((sign1, x1), (sign2, x2)))
    text = f"{name} has {start} {item}. {name} {change1} and then {change2}. How many {item} does {name} have?"
    return WordProblem(text, name, item, start, (sign1, x1), (sign2, x2))


def draw_problem(rng: Random, split: Split) -> WordProblem:
    """Draw one word problem of the split."""
    while True:
        problem = _draw(rng)
        heldout = is_heldout(problem.start, problem.first[1], problem.second[1])
        if min(problem.middle, problem.answer) >= 0 and (split == "all" or heldout == (split == "heldout")):
            return problem


def prompts(split: Split, n: int, seed: int) -> list[Prompt]:
    """`n` different word problems of a split as reasoning prompts with their gold answers."""
    rng = Random(f"{seed}/reasoning/{split}")
    drawn: dict[str, WordProblem] = {}
    while len(drawn) < n:
        problem = draw_problem(rng, split)
        drawn.setdefault(problem.text, problem)
    source = f"lab-arithmetic/{split}"
    return [problem.prompt(f"{source}/{seed}/{i}", source) for i, problem in enumerate(drawn.values())]
