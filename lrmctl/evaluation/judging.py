"""From traces to rows: verdicts on thinking and answer, and of further judges; and what is kept of rows for figures."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from lrmctl.errors import JudgeError
from lrmctl.evaluation.sets import OpenSet
from lrmctl.judges.base import judge_parts
from lrmctl.judges.parts import judge_on
from lrmctl.runs.rows import EvalRow
from lrmctl.types import Trace, Verdict

Sampled = tuple[float, Trace]
"""A trace and the temperature that it was drawn at."""


def judge_set(chosen: OpenSet, parts: Iterable[Sequence[Sampled]]) -> Iterator[EvalRow]:
    """The rows of a set, a part of its traces at a time.

    Raises:
        JudgeError: at the end, if the judge failed on every trace that there is.
    """
    judged, failures = 0, _Failures()
    for part in parts:
        for row in _rows(chosen, part):
            judged += row.trace.finish_reason != "error"
            failures.count(row)
            yield row
    if judged and failures.both == judged:
        what = f"judge {failures.judge!r} failed on all {judged} traces of {chosen.name!r}; the first: {failures.first}"
        raise JudgeError(what, fix="mend the judge and run again: the completions are stored")


class _Failures:
    """Traces of which neither part could be judged; what could not be generated does not count."""

    def __init__(self) -> None:
        self.both, self.judge, self.first = 0, "", ""

    def count(self, row: EvalRow) -> None:
        thinking, answer = row.thinking, row.answer
        if row.trace.finish_reason == "error" or not (thinking and answer and thinking.failed and answer.failed):
            return
        if not self.both:
            self.judge, self.first = thinking.judge, thinking.error
        self.both += 1


def _rows(chosen: OpenSet, sampled: Sequence[Sampled]) -> list[EvalRow]:
    traces = [trace for _, trace in sampled]
    verdicts = judge_parts(chosen.judge, traces)
    opinions = [judge_on(asked.judge, traces, asked.part) for asked in chosen.also]
    return [
        EvalRow(chosen.name, temperature, trace, thinking, answer, also=tuple(said[i] for said in opinions))
        for i, ((temperature, trace), (thinking, answer)) in enumerate(zip(sampled, verdicts, strict=True))
    ]


def slim(row: EvalRow) -> EvalRow:
    """The row without its texts: all that figures need, so that those of a large evaluation fit into memory."""
    trace = row.trace
    prompt = replace(trace.prompt, messages=(), reference=None, meta={})
    return replace(
        row,
        trace=replace(trace, prompt=prompt, thinking="", answer=""),
        thinking=_slim(row.thinking),
        answer=_slim(row.answer),
        also=tuple(replace(verdict, raw="") for verdict in row.also),
    )


def _slim(verdict: Verdict | None) -> Verdict | None:
    return replace(verdict, raw="") if verdict else None
