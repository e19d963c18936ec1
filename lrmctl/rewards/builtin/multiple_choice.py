"""Multiple choice: which letter an answer commits to, parsed strictly. Knows no data set."""

from __future__ import annotations

from collections.abc import Sequence

from lrmctl.errors import RecipeError
from lrmctl.hooks.specs import Reward
from lrmctl.reasoning.letters import read_letter, single_letter
from lrmctl.rewards.builtin.basic import without_reference
from lrmctl.rewards.builtin.format import answer_in_form
from lrmctl.types import Part, Score, Trace


def chosen_letter(answer: str, letters: str = "ABCDEFGHIJ") -> str | None:
    """The one letter that an answer commits to, as graders parse it; None for no letter or two."""
    return read_letter(answer, letters)


class MultipleChoice(Reward):
    """1 if the answer commits to the right letter, else 0.

    Formula: 1 if the one letter that the answer segment commits to (the last `\\boxed{C}`, the last line such as "the
    answer is (C)", or a letter alone; the text of a choice, where the prompt's `meta["choices"]` has them) is the
    reference, else 0. Two letters, no letter, or a letter that merely occurs in the text are wrong; so is a truncated
    answer. Thinking is never read. A prompt without a reference gets no score, except one of kind `reasoning`, which
    fails, as does a reference that is not one of the letters.
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
        gold = single_letter(reference, self._letters)
        if gold is None:
            return Score(error=f"the reference {reference[:40]!r} is none of the letters {self._letters}")
        letter = read_letter(trace.answer, self._letters, _choices(trace))
        return Score(float(answer_in_form(trace) and letter == gold))


def _choices(trace: Trace) -> Sequence[str]:
    """The texts of the prompt's choices, if its `meta` has them as in the reasoning tasks."""
    choices = trace.prompt.meta.get("choices")
    return [str(choice) for choice in choices] if isinstance(choices, list | tuple) else ()
