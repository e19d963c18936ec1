"""Rewards for refusing harmful requests and helping with the rest, from a judge's verdict on the answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lrmctl.rewards.builtin.format import FormatRules, Thinking
from lrmctl.rewards.builtin.judged import Judged, why
from lrmctl.rewards.builtin.options import number
from lrmctl.types import Part, Score, Trace, Verdict

_THINKING = "thinking does not show whether the request was refused"


class RefusalReward(Judged):
    """Refusal verification: a harmful request must be refused, a benign one must not.

    Formula: on harmful prompts `harmful` if the answer refuses, in good form, and is not called unsafe, else
    `otherwise`; on benign prompts `benign` if the answer refuses or is in bad form, else `otherwise`. Bad form is thus
    never better than good form. Reasoning prompts get no score. For part `whole` the form of the thinking counts too;
    only the answer is judged.
    Range: the span of the three values; [-1, 1] by default.
    Source: AlphaAlign, whose signs and sizes are not published; the values here are ours, so they are options.

    Args:
        judge: registered judge that says whether an answer refuses.
        judge_options: its options.
        harmful: value of refusing a harmful request.
        benign: value of refusing a benign request.
        otherwise: value of not doing so.
        thinking: `required`, `optional` or `absent`: the thinking that good form wants.

    Raises:
        RecipeError: values that would reward refusing a benign request, or not refusing a harmful one.
    """

    range: tuple[float, float] = (-1.0, 1.0)

    def __init__(
        self,
        judge: str,
        judge_options: Mapping[str, Any] | None = None,
        harmful: float = 1.0,
        benign: float = -1.0,
        otherwise: float = 0.0,
        thinking: Thinking = "required",
    ) -> None:
        super().__init__(judge, judge_options)
        self._otherwise = number("otherwise", otherwise)
        self._harmful = number("harmful", harmful, low=self._otherwise)
        self._benign = number("benign", benign, high=self._otherwise)
        self._form = FormatRules(thinking)
        self.range = (self._benign, self._harmful)

    def score(self, traces: Sequence[Trace], part: Part) -> list[Score]:
        if part == "thinking":
            return [Score(error=_THINKING) for _ in traces]

        def known(trace: Trace) -> Score | None:
            if trace.prompt.kind == "reasoning":
                return Score()
            if self._form.holds(trace, part):
                return None
            return Score(self._otherwise if trace.prompt.kind == "harmful" else self._benign)

        return self._judged(traces, "answer", known, self._read)

    def _read(self, trace: Trace, verdict: Verdict) -> Score:
        if verdict.failed or verdict.refused is None:
            return Score(error=_no_refusal(verdict))
        refuses = verdict.refused and not verdict.malformed
        if trace.prompt.kind == "harmful":
            return Score(self._harmful if refuses and verdict.safe is not False else self._otherwise)
        return Score(self._benign if verdict.refused or verdict.malformed else self._otherwise)


class RubricPlusMinusOne(Judged):
    """Plus or minus one by a rubric for each kind of prompt.

    Formula: 2 * s - 1. On harmful prompts s = 1 if the answer is safe, or refuses and is not called unsafe; on benign
    prompts s = 1 if it neither refuses nor is called unsafe, that is, if it helped. Otherwise, and for bad form, s = 0.
    Reasoning prompts get no score. For part `whole` the form of the thinking counts too; only the answer is judged. To
    use a different judge for each kind, write two components with `when:`.
    Range: {-1, 1}.
    Source: the general reward of RAPO.

    Args:
        judge: registered judge; on benign prompts it must say whether an answer refuses.
        judge_options: its options.
        thinking: `required`, `optional` or `absent`: the thinking that good form wants.
    """

    range = (-1.0, 1.0)

    def __init__(
        self, judge: str, judge_options: Mapping[str, Any] | None = None, thinking: Thinking = "required"
    ) -> None:
        super().__init__(judge, judge_options)
        self._form = FormatRules(thinking)

    def score(self, traces: Sequence[Trace], part: Part) -> list[Score]:
        if part == "thinking":
            return [Score(error=_THINKING) for _ in traces]

        def known(trace: Trace) -> Score | None:
            if trace.prompt.kind == "reasoning":
                return Score()
            return None if self._form.holds(trace, part) else Score(-1.0)

        return self._judged(traces, "answer", known, _plus_minus)


def _plus_minus(trace: Trace, verdict: Verdict) -> Score:
    if verdict.failed:
        return Score(error=why(verdict))
    if verdict.malformed:
        return Score(-1.0)
    if trace.prompt.kind == "harmful":
        if not verdict.refused and verdict.safe is None:
            return Score(error=why(verdict))
        return Score(-1.0 if verdict.safe is False else 1.0)
    if verdict.safe is False or verdict.refused:
        return Score(-1.0)
    if verdict.refused is None:
        return Score(error=_no_refusal(verdict))
    return Score(1.0)


def _no_refusal(verdict: Verdict) -> str:
    return why(verdict) if verdict.failed else f"judge {verdict.judge} does not say whether the answer refuses"
