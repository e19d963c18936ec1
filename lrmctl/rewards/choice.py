"""Multiple choice: which letter an answer settles on, read strictly. Knows no data set."""

from __future__ import annotations

import re
from collections.abc import Sequence

from lrmctl.errors import RecipeError
from lrmctl.reasoning.verify import last_boxed
from lrmctl.rewards.builtin import without_reference
from lrmctl.rewards.form import answer_in_form
from lrmctl.types import Part, Score, Trace

_WRAPPED = re.compile(r"\\(?:text|textbf|mathrm|mathbf|mathsf|mathit|operatorname)\s*\{([^{}]*)\}")
_MARKUP = re.compile(r"[*_`$]")
_STATED = re.compile(
    r"\b(?:answer|(?:correct|right|best|final)\s+(?:choice|option))\s*(?:\b(?:is|would\s+be|must\s+be)\b|[:=])\s*[:=]?\s*"
    r"(?:(?:option|choice|letter)\s+)?[(\[]?(?P<letter>[A-Za-z])[)\]]?(?![\w'\u2019])(?=(?P<rest>[^\n]{0,40}))",
    re.IGNORECASE,
)
_REASON = re.compile(r"\s+(?!(?:because|since|as|due|for|with|is)\b)[a-z]")
"""A word after A or I that shows that this was an article or a pronoun."""
_ALONE = re.compile(r"[(\[]?([A-Za-z])[)\].]?")
_ANOTHER = re.compile(
    r"\s*(?:,|/|;|\bor\b|\band\b|&)\s*(?:(?:option|choice)\s+)?[(\[]?([A-Za-z])[)\]]?(?![\w'\u2019])", re.I
)


def chosen_letter(answer: str, letters: str = "ABCDEFGHIJ") -> str | None:
    """The one letter that an answer settles on; None if it settles on none, or names two.

    In this order: the content of every `\\boxed{}`; every statement of the form "the answer is (C)"; the whole answer,
    if it is nothing but a letter. All finds of a kind have to agree. A capital letter that merely occurs in the text
    is never taken for a choice.

    Args:
        answer: the answer segment.
        letters: the letters that can be chosen, upper case.
    """
    for found in (_boxed(answer), _stated(answer), _alone(answer)):
        if found:
            choices = {letter.upper() for letter in found}
            return choices.pop() if len(choices) == 1 and choices <= set(letters) else None
    return None


def _boxed(answer: str) -> list[str]:
    """What is in the boxes, `?` for a box that holds no single letter."""
    parts = re.split(r"(?=\\f?boxed\s*\{|\\fbox\s*\{)", answer)
    return [_single(content) for part in parts if (content := last_boxed(part)) is not None]


def _single(text: str) -> str:
    plain = _MARKUP.sub("", _WRAPPED.sub(r"\1", text)).strip()
    found = re.fullmatch(r"(?:(?:option|choice)\s+)?[(\[]?([A-Za-z])[)\].:]?(?:\s*[).:]\s*.*)?", plain, re.I | re.S)
    return found[1] if found else "?"


def _stated(answer: str) -> list[str]:
    found: list[str] = []
    for match in _STATED.finditer(_MARKUP.sub("", _WRAPPED.sub(r"\1", answer))):
        if match["letter"] in "aiAI" and _REASON.match(match["rest"]):
            continue
        another = _ANOTHER.match(match["rest"])
        found += [match["letter"], *([another[1]] if another else [])]
    return found


def _alone(answer: str) -> list[str]:
    found = _ALONE.fullmatch(_MARKUP.sub("", answer).strip())
    return [found[1]] if found else []


class MultipleChoice:
    """1 if the answer settles on the right letter, else 0.

    Formula: 1 if the one letter that the answer segment settles on (`\\boxed{C}`, "the answer is (C)", or a letter
    alone) is the reference, else 0. Two letters, no letter, or a letter that merely occurs in the text are wrong; so is
    an answer that was cut. Thinking is never read. It has no score on a prompt whose reference is missing, unless the
    prompt is of kind `reasoning`: that fails, as does a reference that is not one of the letters.
    Range: {0, 1}.
    Source: exact match, as for GPQA and MMLU; the reading of the letter is ours.

    Args:
        letters: the letters that can be chosen.
    """

    range = (0.0, 1.0)

    def __init__(self, letters: str = "ABCDEFGHIJ") -> None:
        if not isinstance(letters, str) or not letters.isalpha() or not letters.isupper():
            raise RecipeError(f"`letters` is {letters!r}", fix="give upper-case letters, e.g. ABCD")
        self._letters = letters

    def score(self, traces: Sequence[Trace], part: Part) -> list[Score]:
        if part == "thinking":
            return [Score(error="the answer is graded, not the thinking") for _ in traces]
        return [self._score(trace) for trace in traces]

    def _score(self, trace: Trace) -> Score:
        reference = trace.prompt.reference
        if reference is None:
            return without_reference(trace)
        gold = _single(reference).upper()
        if gold not in self._letters:
            return Score(error=f"the reference {reference[:40]!r} is none of the letters {self._letters}")
        return Score(float(answer_in_form(trace) and chosen_letter(trace.answer, self._letters) == gold))
