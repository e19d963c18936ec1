"""Multiple choice by generation: the question with lettered choices, and the letter of an answer."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

from lrmctl.reasoning.base import GradedTrace, graded
from lrmctl.reasoning.letters import LETTERS, read_letter
from lrmctl.types import Trace

INSTRUCTION = "Please reason step by step, and put the letter of your final answer within \\boxed{}."


def pinned_order(key: str, choices: Sequence[str]) -> list[str]:
    """The choices in an order that depends on them and on `key` alone, not on a shared random generator."""
    return sorted(choices, key=lambda choice: sha256(f"{key}\n{choice}".encode()).hexdigest())


def ask(question: str, choices: Sequence[str], instruction: str) -> str:
    """The user's message."""
    lines = [f"({letter}) {choice}" for letter, choice in zip(LETTERS, choices, strict=False)]
    return "\n".join([question.strip(), "", *lines, *(["", instruction] if instruction else [])])


def grade_choice(trace: Trace) -> GradedTrace:
    """Grade by letter; the prompt's `meta["choices"]` are in the order of the letters."""
    choices = trace.prompt.meta["choices"]

    def read(answer: str) -> GradedTrace:
        letter = chosen(answer, choices)
        return GradedTrace(letter == trace.prompt.reference, letter)

    return graded(trace, read)


def chosen(answer: str, choices: Sequence[str]) -> str | None:
    """The letter of the choice that an answer commits to (see `letters`); None if it is not one of the choices."""
    return read_letter(answer, LETTERS[: len(choices)], choices)
