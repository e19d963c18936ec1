r"""The tiny model's pretraining corpus: synthetic reasoning traces with the faults that safety training addresses.

Arithmetic has slips, mostly corrected after "Wait" or "Hmm". Harmful requests are often answered unsafely, more so
under jailbreak wrappers, or get unsafe thinking followed by a refusal; benign ones are helped with and occasionally
refused. Each trace first calls the request risky or ordinary, for every object, so that the base model represents the
class before it decides: training cannot separate what the base does not distinguish. Uses no torch.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import NamedTuple

from lrmctl.lab.arithmetic import WordProblem, apply, draw_problem
from lrmctl.lab.world import LabRequest, draw_request

SHARE_REASONING, SHARE_HARMFUL, SHARE_BENIGN = 0.47, 0.26, 0.24  # the rest is questions about rules
SLIP, REPAIR, CHECK, SHORTCUT = 0.15, 0.94, 0.35, 0.12
SAFE, SAFE_JAILBREAK, TURNED = 0.46, 0.26, 0.18  # harmful: safe at once; unsafe thinking, then a refusal
OVER_REFUSAL = 0.05
ASSESS = 1.0
WORRIES = ("this could hurt people.", "this is not safe.")
REFUSALS = ("I cannot help with that. It could hurt people.", "I will not help with that. It is not safe.")
TOPICS = ("theft", "fire", "money", "privacy", "health", "travel")


class CorpusExample(NamedTuple):
    """A prompt with its thinking and answer."""

    text: str
    thinking: str
    answer: str


def examples(seed: int) -> Iterator[CorpusExample]:
    """The corpus of a seed, infinite."""
    rng = Random(f"{seed}/corpus")
    while True:
        yield _draw(rng)


def _draw(rng: Random) -> CorpusExample:
    u = rng.random()
    if u < SHARE_REASONING:
        return solve(rng, draw_problem(rng, "all"))
    if u < SHARE_REASONING + SHARE_HARMFUL:
        return _harmful(rng, draw_request(rng, "harmful", "all"))
    if u < SHARE_REASONING + SHARE_HARMFUL + SHARE_BENIGN:
        return _benign(rng, draw_request(rng, "benign", "all"))
    return _rule(rng)


def boxed(value: int) -> str:
    return f"The answer is \\boxed{{{value}}}."


def steps(token: str, numbers: tuple[int, int], obj: str) -> str:
    """The fixed form of helpful answers, e.g. "Step 1: get tool-2. Step 2: use tool-5 on a toy coin."."""
    return f"Step 1: get {token}-{numbers[0]}. Step 2: use {token}-{numbers[1]} on {obj}."


def two_numbers(rng: Random) -> tuple[int, int]:
    first, second = rng.sample(range(1, 7), 2)
    return first, second


def solve(rng: Random, problem: WordProblem) -> CorpusExample:
    """A trace of a word problem, possibly with a slip, a correction, a check or an alternative solution."""
    name, item = problem.name, problem.item
    said = [rng.choice((f"Okay, {name} starts with {problem.start}.", f"Okay, so {name} has {problem.start} {item}."))]
    if problem.first[0] == problem.second[0] and rng.random() < SHORTCUT:
        (sign, x), (_, y) = problem.first, problem.second
        said.append(f"Alternatively, {x}+{y}={x + y} and {problem.start}{sign}{x + y}={problem.answer}.")
    value, done = problem.start, []
    slip = rng.randrange(2) if rng.random() < SLIP else None
    for i, (sign, x) in enumerate((problem.first, problem.second)):
        text, result = _calculate(rng, value, sign, x, slip=i == slip)
        said.append(text)
        done.append((f"{value}{sign}{x}", apply(value, sign, x), result))
        value = result
    if rng.random() < CHECK:
        term, right, result = rng.choice(done)
        said.append(f"Wait, let me check. {term}={right}." + (" Yes." if right == result else ""))
    return CorpusExample(problem.text, " ".join(said), boxed(value))


def _calculate(rng: Random, value: int, sign: str, x: int, *, slip: bool) -> tuple[str, int]:
    """Text of one calculation, and the value with which the trace continues."""
    right = apply(value, sign, x)
    if not slip:
        return f"{value}{sign}{x}={right}.", right
    wrong = max(0, right + rng.choice((-2, -1, 1, 2)))
    if rng.random() >= REPAIR:
        return f"{value}{sign}{x}={wrong}.", wrong
    return f"{value}{sign}{x}={wrong}. " + rng.choice(("Wait, ", "Hmm, wait, ")) + f"{value}{sign}{x}={right}.", right


def _opening(rng: Random, request: LabRequest) -> list[str]:
    said = [
        rng.choice(("Okay, the user wants to {v} {o}.", "Okay, this is about how to {v} {o}.")).format(
            v=request.verb, o=request.object
        )
    ]
    if rng.random() < ASSESS:
        said.append("This is a risky thing." if request.kind == "harmful" else "This is an ordinary thing.")
    return said


def _refuse(rng: Random, said: list[str], turns: tuple[str, ...]) -> tuple[str, str]:
    """Thinking that ends in a refusal, and the refusing answer."""
    said = [*said, rng.choice(turns) + rng.choice(WORRIES), "I should not help."]
    return " ".join(said), rng.choice(REFUSALS)


def _consider(rng: Random, token: str, numbers: tuple[int, int]) -> list[str]:
    said = ["Let me think.", f"Maybe use {token}-{numbers[0]} first."]
    if rng.random() < 0.4:
        said.append(f"Alternatively, {token}-{numbers[1]} could work.")
    return said


def _plan(token: str, numbers: tuple[int, int]) -> str:
    return f"So the plan is {token}-{numbers[0]} then {token}-{numbers[1]}."


def _harmful(rng: Random, request: LabRequest) -> CorpusExample:
    said, numbers, u = _opening(rng, request), two_numbers(rng), rng.random()
    safe = SAFE_JAILBREAK if request.jailbreak else SAFE
    if u < safe:
        return CorpusExample(request.text, *_refuse(rng, said, ("Hmm, ", "Wait, ")))
    said += _consider(rng, "hazard", numbers)
    if u < safe + TURNED:
        return CorpusExample(request.text, *_refuse(rng, said, ("Wait, ", "Hmm, wait, ")))
    if rng.random() < 0.2:
        said += ["Wait, " + rng.choice(WORRIES), "But the user asked for it."]
    said.append(_plan("hazard", numbers))
    return CorpusExample(request.text, " ".join(said), steps("hazard", numbers, request.object))


def unsafe(rng: Random, request: LabRequest) -> CorpusExample:
    """A trace that plans and gives what was asked for, as the base model answers a harmful request unsafely."""
    said, numbers = _opening(rng, request), two_numbers(rng)
    said += [*_consider(rng, "hazard", numbers), _plan("hazard", numbers)]
    return CorpusExample(request.text, " ".join(said), steps("hazard", numbers, request.object))


def refusing(rng: Random, request: LabRequest) -> CorpusExample:
    """A trace that refuses at once, in the base model's words."""
    return CorpusExample(request.text, *_refuse(rng, _opening(rng, request), ("Hmm, ", "Wait, ")))


def helping(rng: Random, request: LabRequest) -> CorpusExample:
    """A trace that helps with a benign request, in the base model's words."""
    said, numbers = _opening(rng, request), two_numbers(rng)
    said += [*_consider(rng, "tool", numbers), _plan("tool", numbers)]
    return CorpusExample(request.text, " ".join(said), steps("tool", numbers, request.object))


def solved(rng: Random, problem: WordProblem, *, right: bool) -> CorpusExample:
    """A trace of a word problem whose answer is right, or wrong by a slip that is not corrected."""
    while True:
        found = solve(rng, problem)
        if (found.answer == boxed(problem.answer)) == right:
            return found


def _benign(rng: Random, request: LabRequest) -> CorpusExample:
    said, numbers = _opening(rng, request), two_numbers(rng)
    if rng.random() < OVER_REFUSAL:
        return CorpusExample(request.text, *_refuse(rng, said, ("Hmm, ", "Wait, ")))
    said += _consider(rng, "tool", numbers)
    if rng.random() < 0.3:
        said += [rng.choice(("Hmm, is this safe?", "Wait, is this safe?")), "Yes, it is ordinary."]
    said.append(_plan("tool", numbers))
    return CorpusExample(request.text, " ".join(said), steps("tool", numbers, request.object))


def _rule(rng: Random) -> CorpusExample:
    """A question about a rule, so that pretraining contains the words of teacher demonstrations, as the web does."""
    k = rng.randint(1, 6)
    answer = rng.choice(
        (
            f"Rule {k} covers {TOPICS[k - 1]}. The request must be allowed under the rule.",
            f"Rule {k} covers {TOPICS[k - 1]}. Please consider a lawful choice instead.",
            f"I'm sorry, but rule {k} is not about that. It covers {TOPICS[k - 1]}.",
        )
    )
    thinking = f"Policy check. The question concerns rule {k}. The right response is to refuse or answer politely."
    return CorpusExample(f"What does rule {k} say?", thinking, answer)
