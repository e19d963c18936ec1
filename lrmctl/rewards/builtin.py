"""The built-in rewards: judged safety, judged helpfulness, correct answers, good form.

All of them take bad form seriously, because a policy finds every gap: cut or never-ended thinking leaves an empty
answer, and an empty answer is safe in any judge's eyes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lrmctl.judges.base import judge_part, judge_parts, make_judge
from lrmctl.types import Part, Score, Trace, Verdict, joint_outcome


def thinking_in_form(trace: Trace) -> bool:
    """A thought that was closed once and is not empty."""
    return trace.thinking_state == "closed" and not trace.irregular


def answer_in_form(trace: Trace) -> bool:
    """An answer that is there and was ended by the model."""
    return trace.finish_reason == "stop" and bool(trace.answer.strip())


class JudgedSafe:
    """1 for safe and well-formed thinking and answer, `partial` if only the answer is, else 0.

    For part `thinking` or `answer` only that part is judged: 1 or 0. An answer that is not safe decides even if the
    judge failed on the thinking; otherwise a failed verdict is a failed score.

    Args:
        judge: registered judge.
        judge_options: its options.
        partial: value of a safe answer after unsafe or malformed thinking (part `whole` only).
    """

    def __init__(self, judge: str, judge_options: Mapping[str, Any] | None = None, partial: float = 0.0) -> None:
        self._judge = make_judge(judge, dict(judge_options or {}))
        self._partial = partial

    def score(self, traces: Sequence[Trace], part: Part) -> list[Score]:
        if part == "whole":
            verdicts = judge_parts(self._judge, traces)
            return [self._whole(trace, *pair) for trace, pair in zip(traces, verdicts, strict=True)]
        form = thinking_in_form if part == "thinking" else answer_in_form
        judged = zip(traces, judge_part(self._judge, traces, part), strict=True)
        return [_said(verdict, form(trace)) for trace, verdict in judged]

    def _whole(self, trace: Trace, thinking: Verdict, answer: Verdict) -> Score:
        last = _said(answer, answer_in_form(trace))
        if not last.value:
            return last
        first = _said(thinking, thinking_in_form(trace))
        return first if first.failed else Score(1.0 if first.value else self._partial)


class JudgedComplied:
    """1 if the request was helped with, safely and in good form, else 0.

    For part `whole` the thinking has to be safe too; for part `answer` only the answer is judged.

    Args:
        judge: registered judge; it has to say whether an answer refuses.
        judge_options: its options.
    """

    def __init__(self, judge: str, judge_options: Mapping[str, Any] | None = None) -> None:
        self._judge = make_judge(judge, dict(judge_options or {}))

    def score(self, traces: Sequence[Trace], part: Part) -> list[Score]:
        if part == "thinking":
            return [Score(error="thinking does not show whether the request was helped with") for _ in traces]
        answers = judge_part(self._judge, traces, "answer")
        thoughts: Sequence[Verdict | None] = [None] * len(traces)
        if part == "whole":
            thoughts = judge_part(self._judge, traces, "thinking")
        return [self._complied(*one) for one in zip(traces, thoughts, answers, strict=True)]

    def _complied(self, trace: Trace, thinking: Verdict | None, answer: Verdict) -> Score:
        if not answer_in_form(trace) or (thinking and not thinking_in_form(trace)) or answer.refused:
            return Score(0.0)
        outcome = joint_outcome(thinking, answer) if thinking else answer.outcome
        if outcome == "failed":
            return Score(error=next(_why(v) for v in (answer, thinking) if v and v.outcome == "failed"))
        if outcome == "safe" and answer.refused is None:
            return Score(error=f"judge {answer.judge} does not say whether the answer refuses")
        return Score(float(outcome == "safe"))


class Correct:
    """1 if the answer segment gives the prompt's reference answer, else 0; a cut response is wrong.

    Does not apply to prompts without a reference answer, unless they are of kind `reasoning`: those fail.
    """

    def score(self, traces: Sequence[Trace], part: Part) -> list[Score]:  # noqa: ARG002 (the answer decides)
        return [self._score(trace) for trace in traces]

    def _score(self, trace: Trace) -> Score:
        from lrmctl.reasoning.verify import is_correct

        reference = trace.prompt.reference
        if reference is None:
            reasoning = trace.prompt.kind == "reasoning"
            return Score(error="the reasoning prompt has no reference answer") if reasoning else Score()
        return Score(float(answer_in_form(trace) and is_correct(trace.answer, reference)))


class Format:
    """0 for good form, -1 otherwise: thinking closed once and not empty, an answer, ended by the model itself."""

    def score(self, traces: Sequence[Trace], part: Part) -> list[Score]:
        parts = {"thinking": (thinking_in_form,), "answer": (answer_in_form,)}
        checks = parts.get(part, (thinking_in_form, answer_in_form))
        return [Score(0.0 if all(check(trace) for check in checks) else -1.0) for trace in traces]


def _said(verdict: Verdict, in_form: bool) -> Score:
    """1 for safe, 0 for unsafe or malformed; bad form that we can see needs no judge."""
    if not in_form:
        return Score(0.0)
    if verdict.outcome == "failed":
        return Score(error=_why(verdict))
    return Score(float(verdict.outcome == "safe"))


def _why(verdict: Verdict) -> str:
    said = verdict.error or "does not say whether it is safe"
    return f"judge {verdict.judge} on the {verdict.part}: {said}"
