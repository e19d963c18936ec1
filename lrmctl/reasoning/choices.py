"""Multiple choice by generation: the question with lettered choices, and which letter an answer gives."""

from __future__ import annotations

import re
from collections.abc import Sequence
from hashlib import sha256

from lrmctl.reasoning.base import Graded, graded
from lrmctl.reasoning.verify import last_boxed
from lrmctl.types import Trace

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
INSTRUCTION = "Please reason step by step, and put the letter of your final answer within \\boxed{}."
_WRAPPED = re.compile(r"\\(?:text|textbf|textit|textrm|mathbf|mathrm|mathsf|bf|rm)\s*\{([^{}]*)\}")
_LETTER = re.compile(r"\(?\s*([A-Z])\s*(?:\)|[.:,]|$)")
_STATED = re.compile(
    r"[Aa]nswer\s*(?:\*\*)?\s*(?::|is:?)\s*(?:\*\*)?\s*\$?\(?([A-Z])\)?(?=\s*$|\s*[.,;*$\n)])", re.MULTILINE
)


def pinned_order(key: str, choices: Sequence[str]) -> list[str]:
    """The choices in an order that depends on them and on `key` alone: never on a generator that others use too."""
    return sorted(choices, key=lambda choice: sha256(f"{key}\n{choice}".encode()).hexdigest())


def ask(question: str, choices: Sequence[str], instruction: str) -> str:
    """The user's message."""
    lines = [f"({letter}) {choice}" for letter, choice in zip(LETTERS, choices, strict=False)]
    return "\n".join([question.strip(), "", *lines, *(["", instruction] if instruction else [])])


def grade_choice(trace: Trace) -> Graded:
    """By the letter; the prompt's `meta["choices"]` are in the order of the letters."""
    choices = trace.prompt.meta["choices"]

    def read(answer: str) -> Graded:
        letter = chosen(answer, choices)
        return Graded(letter == trace.prompt.reference, letter)

    return graded(trace, read)


def chosen(answer: str, choices: Sequence[str]) -> str | None:
    """The letter in the last `\\boxed{}`, or the letter of the choice that is in it; without a box, of the last
    "Answer: X". None if that is none of the choices'."""
    boxed = last_boxed(answer)
    if boxed is not None:
        return _of_box(boxed, choices)
    stated = _STATED.findall(answer)
    return _known(stated[-1], choices) if stated else None


def _of_box(boxed: str, choices: Sequence[str]) -> str | None:
    plain = _plain(boxed)
    same = [letter for letter, choice in zip(LETTERS, choices, strict=False) if _plain(choice) == plain]
    if len(same) == 1 and not _known(plain, choices):
        return same[0]
    found = _LETTER.match(plain)
    return _known(found[1], choices) if found else None


def _plain(text: str) -> str:
    """Without dollar signs and commands that only set a typeface."""
    previous = ""
    while previous != text:
        previous, text = text, _WRAPPED.sub(r"\1", text)
    return " ".join(text.replace("$", "").split()).rstrip(".")


def _known(letter: str, choices: Sequence[str]) -> str | None:
    return letter if letter in LETTERS[: len(choices)] and letter else None
