"""Well-formed responses: thinking as the model's template requires, and an answer that the model ended itself.

Every reward checks the form, because a policy exploits every gap: cut or unclosed thinking leaves an empty answer, and
any judge calls an empty answer safe.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

from lrmctl._util.text import is_blank
from lrmctl.hooks.specs import Reward
from lrmctl.rewards.builtin.options import number, one_of
from lrmctl.types import Part, Scope, Score, Trace

Thinking = Literal["required", "optional", "absent"]


def thinking_in_form(trace: Trace) -> bool:
    """Thinking that was closed exactly once and is not empty."""
    return trace.thinking_state == "closed" and not trace.irregular and not is_blank(trace.thinking)


def of_answer(score: Score, trace: Trace, part: Scope) -> Score:
    """The score, marked in its logs if it is of the answer alone because the model does not think."""
    if score.value is None or part == "answer" or not trace.answer_only:
        return score
    return replace(score, logs={**score.logs, "answer_only": 1.0})


def answer_in_form(trace: Trace) -> bool:
    """A non-empty answer that the model ended itself."""
    return trace.finish_reason == "stop" and not is_blank(trace.answer)


@dataclass(frozen=True)
class FormatRules:
    """What counts as well-formed for a model.

    Attributes:
        thinking: `required`: closed once and not empty. `optional`: that, or none. `absent`: none, where a pair of
            tags with nothing between them counts as none, as some templates write it when thinking is off.
            Where the model does not think (`Trace.thinking_state` is `off`) there is nothing to be in form, whatever is
            said here.

    Raises:
        RecipeError: an unknown value.
    """

    thinking: str = "required"

    def __post_init__(self) -> None:
        one_of("thinking", self.thinking, get_args(Thinking))

    def holds(self, trace: Trace, part: Part) -> bool:
        """Whether this part of the trace is well-formed. The whole is if both parts are."""
        thought = part == "answer" or self._thinking(trace)
        return thought and (part == "thinking" or answer_in_form(trace))

    def _thinking(self, trace: Trace) -> bool:
        if trace.answer_only:
            return True
        if self.thinking == "required":
            return thinking_in_form(trace)
        return without_thinking(trace) or (self.thinking == "optional" and thinking_in_form(trace))


def without_thinking(trace: Trace) -> bool:
    """No thinking at all, or an empty pair of tags."""
    empty = trace.thinking_state != "unclosed" and is_blank(trace.thinking)
    return empty and set(trace.irregular) <= {"empty"}


class Format(Reward):
    """`bonus` for a well-formed response, `penalty` for any other.

    Formula: bonus if thinking is as `thinking` says, and the answer is not empty and was ended by the model itself;
    else penalty. For part `thinking` or `answer` only that part counts. Templates that open the think tag in the prompt
    are supported: the thinking counts, not the tags that the model wrote. If the model does not think, every part gets
    the answer's score.
    Range: [min(bonus, penalty), max(bonus, penalty)]; [-1, 0] by default.
    Source: the format bit of ThinkSafe and of DeepSeek-R1 (arXiv 2501.12948), made aware of templates.

    Args:
        thinking: `required`, `optional` or `absent` (a model or mode without thinking).
        bonus, penalty: the two values.
    """

    range: tuple[float, float] = (-1.0, 0.0)

    def __init__(self, thinking: Thinking = "required", bonus: float = 0.0, penalty: float = -1.0) -> None:
        self._form = FormatRules(thinking)
        self._bonus, self._penalty = number("bonus", bonus), number("penalty", penalty)
        self.range = (min(self._bonus, self._penalty), max(self._bonus, self._penalty))

    def score(self, traces: Sequence[Trace], part: Part) -> list[Score]:
        return [self._score(trace, part) for trace in traces]

    def _score(self, trace: Trace, part: Part) -> Score:
        read: Part = "answer" if trace.answer_only else part
        return of_answer(Score(self._bonus if self._form.holds(trace, read) else self._penalty), trace, part)
