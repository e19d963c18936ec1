"""Basic rewards: judged safety, judged helpfulness, correct answers. Malformed responses never score best."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lrmctl.hooks.specs import Reward
from lrmctl.judges.base import judge_part, judge_parts
from lrmctl.rewards.builtin.format import answer_in_form, of_answer, thinking_in_form
from lrmctl.rewards.builtin.judged import Judged, why
from lrmctl.rewards.builtin.options import number
from lrmctl.types import Part, Score, Trace, Verdict, joint_outcome


class JudgedSafe(Judged):
    """1 for safe and well-formed thinking and answer, `partial` if only the answer is, else 0.

    Formula: [thinking safe] * [answer safe], each judged alone; with `partial` p, p if only the answer is safe. For
    part `thinking` or `answer` only that part is judged: 1 or 0. Bad form is 0. An unsafe answer decides even if the
    judge failed on the thinking; otherwise a failed verdict gives a failed score. If the model does not think, every
    part gets the answer's score.
    Range: [0, 1]; the values are 0, `partial` and 1.
    Source: the guard-only reward of Qwen3Guard (arXiv 2510.14276, section 3.5); `partial` is ours.

    Args:
        judge: registered judge.
        judge_options: its options.
        partial: value of a safe answer after unsafe or malformed thinking (part `whole` only).
    """

    range: tuple[float, float] = (0.0, 1.0)

    def __init__(self, judge: str, judge_options: Mapping[str, Any] | None = None, partial: float = 0.0) -> None:
        super().__init__(judge, judge_options)
        self._partial = number("partial", partial)
        self.range = (min(0.0, self._partial), max(1.0, self._partial))

    def score(self, traces: Sequence[Trace], part: Part) -> list[Score]:
        if part == "whole":
            pairs = judge_parts(self._judge, traces)
            return [self._whole(trace, *pair) for trace, pair in zip(traces, pairs, strict=True)]
        form = thinking_in_form if part == "thinking" else answer_in_form
        verdicts = judge_part(self._judge, traces, part)
        alone = iter(self.score([t for t in traces if t.answer_only], "answer")) if part == "thinking" else iter(())
        return [
            of_answer(next(alone), trace, part) if verdict.outcome == "nothing" else _said(verdict, form(trace))
            for trace, verdict in zip(traces, verdicts, strict=True)
        ]

    def _whole(self, trace: Trace, thinking: Verdict, answer: Verdict) -> Score:
        last = _said(answer, answer_in_form(trace))
        if not last.value or trace.answer_only:
            return of_answer(last, trace, "whole")
        first = _said(thinking, thinking_in_form(trace))
        return first if first.failed else Score(1.0 if first.value else self._partial)


class JudgedComplied(Judged):
    """1 if the response helps with the request, safely and well-formed, else 0.

    Formula: [answer safe] * [answer does not refuse], for part `whole` times [thinking safe]. Bad form is 0.
    Range: {0, 1}.
    Source: ours; the helpful side of a reward by prompt kind, as in TARS.

    Args:
        judge: registered judge that says whether an answer refuses.
        judge_options: its options.
    """

    range = (0.0, 1.0)

    def score(self, traces: Sequence[Trace], part: Part) -> list[Score]:
        if part == "thinking":
            return [Score(error="thinking does not show whether the request was helped with") for _ in traces]
        answers = judge_part(self._judge, traces, "answer")
        thoughts: Sequence[Verdict | None] = [None] * len(traces)
        if part == "whole":
            thoughts = judge_part(self._judge, traces, "thinking")
        return [self._complied(*one) for one in zip(traces, thoughts, answers, strict=True)]

    def _complied(self, trace: Trace, thinking: Verdict | None, answer: Verdict) -> Score:
        if trace.answer_only:
            return of_answer(
                self._decided(None, answer, answer_in_form(trace)), trace, "whole" if thinking else "answer"
            )
        in_form = answer_in_form(trace) and (thinking is None or thinking_in_form(trace))
        return self._decided(thinking, answer, in_form)

    def _decided(self, thinking: Verdict | None, answer: Verdict, in_form: bool) -> Score:
        if not in_form or answer.refused:
            return Score(0.0)
        outcome = joint_outcome(thinking, answer) if thinking else answer.outcome
        if outcome == "failed":
            return Score(error=next(why(v) for v in (answer, thinking) if v and v.outcome == "failed"))
        if outcome == "safe" and answer.refused is None:
            return Score(error=f"judge {answer.judge} does not say whether the answer refuses")
        return Score(float(outcome == "safe"))


class Correct(Reward):
    """1 if the answer segment gives the prompt's reference answer, else 0.

    Formula: 1 if math_verify finds the last `\\boxed{}`, or a stated final answer, equal to the reference, else 0. A
    truncated response is wrong; so is an expression that cannot be compared within 3 seconds of processor time.
    Thinking is never read. Prompts without a reference get no score, except those of kind `reasoning`, which fail.
    Range: {0, 1}.
    Source: verifiable rewards for mathematics as in DeepSeek-R1 (arXiv 2501.12948); math_verify.
    """

    range = (0.0, 1.0)

    def score(self, traces: Sequence[Trace], part: Part) -> list[Score]:  # noqa: ARG002 (the answer decides)
        return [self._score(trace) for trace in traces]

    def _score(self, trace: Trace) -> Score:
        from lrmctl.reasoning.verify import is_correct

        reference = trace.prompt.reference
        if reference is None:
            return without_reference(trace)
        return Score(float(answer_in_form(trace) and is_correct(trace.answer, reference)))


def without_reference(trace: Trace) -> Score:
    """The score of a prompt without a reference: missing, or failed if the prompt is of kind `reasoning`."""
    return Score(error="the reasoning prompt has no reference answer") if trace.prompt.kind == "reasoning" else Score()


def _said(verdict: Verdict, in_form: bool) -> Score:
    """1 for safe, 0 for unsafe or malformed; a form that is visibly bad needs no judge."""
    if not in_form:
        return Score(0.0)
    if verdict.outcome == "failed":
        return Score(error=why(verdict))
    return Score(float(verdict.outcome == "safe"))
