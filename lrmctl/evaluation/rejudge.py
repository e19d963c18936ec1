"""Judges an evaluation again: with other judges, or better rules, on the stored traces. Nothing is generated.

The model is not needed. The previous results are kept in `before-N/`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lrmctl.errors import NotFoundError
from lrmctl.evaluation.benchmarks import PreparedBenchmark, named_sets
from lrmctl.evaluation.judge import judge_set, slim
from lrmctl.evaluation.settings import keep_old, settings_of
from lrmctl.evaluation.summary import again, judge_facts
from lrmctl.reasoning.tasks import ReasoningTask, reasoning_task
from lrmctl.runs.damage import read_object
from lrmctl.runs.eval_rows import EvalRow, eval_rows
from lrmctl.runs.folder import eval_folder, write_json
from lrmctl.runs.holding import hold
from lrmctl.runs.jsonl import write_jsonl
from lrmctl.runs.names import check_name

if TYPE_CHECKING:
    from lrmctl.recipe.schema.evaluation import EvalSection

AT_ONCE = 2_000
Cell = tuple[str, float, str]
"""Set, temperature, kind."""


def rejudge(section: EvalSection, out: Path, *, variant: str = "") -> dict[str, Any]:
    """Judge and grade the traces of an evaluation with the judges and tasks of a recipe.

    Sets that the recipe does not name keep their verdicts.

    Returns:
        The new summary.

    Raises:
        NotFoundError: there is no evaluation here, or it lacks sets that the recipe names.
        JudgeError: a judge failed on every trace of a set; nothing is replaced.
    """
    folder = eval_folder(out, variant and check_name(variant, "--variant"))
    _summary(folder)
    with hold(folder, "judging"):
        return _rejudge(section, folder)


def _rejudge(section: EvalSection, folder: Path) -> dict[str, Any]:
    rows, old = folder / "rows.jsonl", _summary(folder)
    sets = named_sets(section, {entry["set"] for entry in old["sets"]})
    wanted = [reasoning_task(use.use, use.options) for use in section.reasoning]
    tasks = {task.name: task for one in wanted for task in one.each if task.regrades}
    _refuse_strangers(folder, old, {*sets, *tasks})
    kept: dict[Cell, list[EvalRow]] = defaultdict(list)
    new = folder / "judged.jsonl"
    write_jsonl(new, (row.to_json() for row in _remember(_judged(rows, sets, tasks), kept)))
    settings = {**(old.get("settings") or {}), "judged_again": settings_of(section)}
    summary = {**old, "settings": settings, "sets": [_entry(e, kept, sets, tasks) for e in old["sets"]]}
    keep_old(folder)
    new.replace(rows)
    write_json(folder / "summary.json", summary)
    return summary


def _summary(folder: Path) -> dict[str, Any]:
    path = folder / "summary.json"
    if not path.exists() or not (folder / "rows.jsonl").exists():
        raise NotFoundError("there are no stored completions to judge", str(folder), "run `lrmctl eval` first")
    return read_object(path)


def _refuse_strangers(folder: Path, old: Mapping[str, Any], wanted: set[str]) -> None:
    have = {entry["set"] for entry in old["sets"]}
    if strangers := sorted(wanted - have):
        what = f"the set {strangers[0]!r} has not been evaluated; there are {', '.join(sorted(have))}"
        raise NotFoundError(what, str(folder), "run `lrmctl eval` with this recipe first, without --rejudge")


def _judged(rows: Path, sets: Mapping[str, PreparedBenchmark], tasks: Mapping[str, ReasoningTask]) -> Iterator[EvalRow]:
    """Rows of the file in its order, judged again in parts."""
    for name, of_set in groupby(eval_rows(rows), lambda row: row.set):
        if name in sets:
            parts = ([(row.temperature, row.trace) for row in part] for part in _parts(of_set))
            yield from judge_set(sets[name], parts)
        elif name in tasks:
            yield from (_graded(row, tasks[name]) for row in of_set)
        else:
            yield from of_set


def _parts(rows: Iterator[EvalRow]) -> Iterator[list[EvalRow]]:
    while part := list(islice(rows, AT_ONCE)):
        yield part


def _graded(row: EvalRow, task: ReasoningTask) -> EvalRow:
    graded = task.grade(row.trace)
    return replace(row, correct=graded.correct, extracted=graded.extracted, scores=graded.scores)


def _remember(rows: Iterator[EvalRow], kept: dict[Cell, list[EvalRow]]) -> Iterator[EvalRow]:
    for row in rows:
        kept[row.set, row.temperature, row.trace.prompt.kind].append(slim(row))
        yield row


def _entry(
    entry: Mapping[str, Any],
    kept: Mapping[Cell, Sequence[EvalRow]],
    sets: Mapping[str, PreparedBenchmark],
    tasks: Mapping[str, ReasoningTask],
) -> dict[str, Any]:
    name = entry["set"]
    rows = kept[name, entry["temperature"], entry["kind"]]
    if not rows:
        return dict(entry)
    if name in sets:
        return again(entry, rows, judge_facts(sets[name]), sets[name].measured)
    if name in tasks:
        return again(entry, rows, dict(zip(("judge", "judge_version"), tasks[name].grader, strict=True)), None)
    return dict(entry)
