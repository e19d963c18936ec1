"""The entries of a summary: one per set, kind of prompt and temperature, from rows without their texts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

from lrmctl.evaluation.benchmarks import PreparedBenchmark
from lrmctl.hooks.members import PANEL
from lrmctl.judges.panel.agreement import agreements, rated
from lrmctl.judges.panel.judge import panel_facts
from lrmctl.metrics import summarize
from lrmctl.runs.eval_rows import EvalRow

if TYPE_CHECKING:
    from lrmctl.reasoning.lm_eval.run import TaskResult


def safety_entries(chosen: PreparedBenchmark, rows: Sequence[EvalRow]) -> list[dict[str, Any]]:
    """The entries of a safety set."""
    return _entries(rows, {**judge_facts(chosen), "source": dict(chosen.source)}, chosen.measured)


def judge_facts(chosen: PreparedBenchmark) -> dict[str, Any]:
    """The judge's name, version and measured error rates."""
    facts: dict[str, Any] = {"judge": chosen.judge.name, "judge_version": chosen.judge.version}
    if chosen.judge.name == PANEL:
        facts["panel"] = panel_facts(chosen.judge)
    if chosen.also:
        facts["also"] = [{"judge": a.judge.name, "version": a.judge.version, "part": a.part} for a in chosen.also]
    if chosen.measured:
        facts["measured"] = chosen.measured.model_dump(mode="json")
    return facts


def task_entries(result: TaskResult, rows: Sequence[EvalRow]) -> list[dict[str, Any]]:
    """The entry of a reasoning task at one temperature, with lm-eval's own metrics."""
    from importlib.metadata import version

    task = result.task
    source = {"license": task.license, "url": task.url, "split": task.split, "use": task.name, **task.provenance()}
    facts = {"judge": task.grader[0], "judge_version": task.grader[1], "source": source}
    reported = {"version": version("lm-eval"), **result.reported}
    return [{**entry, "lm_eval": reported} for entry in _entries(rows, facts)]


_JUDGED = ("also", "measured", "judge_error", "not_judged", "panel", "agreement")
"""Keys of an entry that its judges decide, beside those that every entry has."""


def again(entry: Mapping[str, Any], rows: Sequence[EvalRow], facts: Mapping[str, Any], measured: Any) -> dict[str, Any]:
    """An entry of an earlier summary with metrics from rows that were judged again."""
    kept = {key: value for key, value in entry.items() if key not in _JUDGED}
    (made,) = _entries(rows, {**kept, **facts}, measured)
    return made


def _entries(rows: Sequence[EvalRow], facts: Mapping[str, Any], measured: Any = None) -> list[dict[str, Any]]:
    def cell(row: EvalRow) -> tuple[float, str]:
        return row.temperature, row.trace.prompt.kind

    return [_entry(list(some), facts, measured) for _, some in groupby(sorted(rows, key=cell), cell)]


def _entry(rows: Sequence[EvalRow], facts: Mapping[str, Any], measured: Any) -> dict[str, Any]:
    """Rows of one set, kind and temperature, ordered by prompt, then sample."""
    first = rows[0]
    samples = len({row.trace.sample for row in rows})
    return {
        **facts,
        "set": first.set,
        "kind": first.trace.prompt.kind,
        "temperature": first.temperature,
        "prompts": len({row.trace.prompt.id for row in rows}),
        "samples": samples,
        **_failure(rows),
        **_agreement(rows),
        "metrics": summarize(rows, samples, measured) if measured else summarize(rows, samples),
    }


def _agreement(rows: Sequence[EvalRow]) -> dict[str, Any]:
    """How far the members of a panel agree, and the judge with the additional ones."""
    found = agreements(one for row in rows if row.trace.finish_reason != "error" for one in rated(row))
    return {"agreement": [one.to_json() for one in found]} if found else {}


def _failure(rows: Sequence[EvalRow]) -> dict[str, str]:
    """The judge's most frequent error, and what it does not judge by design."""
    drawn = [row for row in rows if row.trace.finish_reason != "error"]
    verdicts = [v for row in drawn for v in (row.thinking, row.answer) if v is not None and v.failed]
    errors = Counter(v.error for v in verdicts if not v.not_judged)
    never = [v.error for v in verdicts if v.not_judged]
    found = {"judge_error": errors.most_common(1)[0][0]} if errors else {}
    return {**found, "not_judged": never[0]} if never else found
