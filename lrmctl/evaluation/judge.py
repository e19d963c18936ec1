"""From traces to rows: verdicts on thinking and answer, and of additional judges; and the part of a row that metrics
need."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from lrmctl.errors import JudgeError
from lrmctl.evaluation.benchmarks import PreparedBenchmark
from lrmctl.judges.base import judge_parts
from lrmctl.judges.scopes import judge_on
from lrmctl.runs.eval_rows import EvalRow
from lrmctl.types import RESPONSE_POLICY, Trace, Verdict

Sampled = tuple[float, Trace]
"""A trace and the temperature that it was sampled at."""


def judge_set(chosen: PreparedBenchmark, parts: Iterable[Sequence[Sampled]]) -> Iterator[EvalRow]:
    """The rows of a set, some traces at a time.

    Raises:
        JudgeError: at the end, if the judge failed on every trace that it could judge.
    """
    failures = _Failures()
    for part in parts:
        for row in _rows(chosen, part):
            failures.count(row)
            yield row
    if failures.rows and not failures.told:
        n = (
            f"all {failures.rows}"
            if not failures.empty
            else f"all {failures.rows} that have any text of {failures.all}"
        )
        what = f"judge {failures.judge!r} failed on {n} traces of {chosen.name!r}; the first: {failures.first}"
        raise JudgeError(what, fix="mend the judge and run again: the completions are stored")


@dataclass
class _Failures:
    """Counts traces on which the judge failed completely; completions that could not be generated do not count.

    Attributes:
        rows: traces on which it failed without a verdict on the other part.
        told: traces with a verdict, even if only that the text is malformed.
        empty: traces without any text to judge.
    """

    rows: int = 0
    told: int = 0
    empty: int = 0
    judge: str = ""
    first: str = ""

    @property
    def all(self) -> int:
        return self.rows + self.told + self.empty

    def count(self, row: EvalRow) -> None:
        trace = row.trace
        if trace.finish_reason == "error":
            return
        parts = ((row.thinking, trace.thinking), (row.answer, trace.answer))
        asked = [v for v, text in parts if v and text.strip() and not v.not_judged]
        if any(not v.failed for v in asked):
            self.told += 1
        elif asked:
            if not self.rows:
                self.judge, self.first = asked[0].judge, asked[0].error
            self.rows += 1
        else:
            self.empty += 1


def _rows(chosen: PreparedBenchmark, sampled: Sequence[Sampled]) -> list[EvalRow]:
    traces = [trace for _, trace in sampled]
    verdicts = judge_parts(chosen.judge, traces)
    opinions = [judge_on(asked.judge, traces, asked.part) for asked in chosen.also]
    return [
        EvalRow(chosen.name, temperature, trace, thinking, answer, also=tuple(said[i] for said in opinions))
        for i, ((temperature, trace), (thinking, answer)) in enumerate(zip(sampled, verdicts, strict=True))
    ]


def slim(row: EvalRow) -> EvalRow:
    """The row without its texts: all that metrics need, so that those of a large evaluation fit into memory."""
    trace = row.trace
    policy = {key: value for key, value in trace.prompt.meta.items() if key == RESPONSE_POLICY}
    prompt = replace(trace.prompt, messages=(), reference=None, meta=policy)
    return replace(
        row,
        trace=replace(trace, prompt=prompt, thinking="", answer=""),
        thinking=_slim(row.thinking),
        answer=_slim(row.answer),
        also=tuple(replace(verdict, raw="") for verdict in row.also),
    )


def _slim(verdict: Verdict | None) -> Verdict | None:
    return replace(verdict, raw="") if verdict else None
