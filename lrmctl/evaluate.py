"""Evaluation of one checkpoint: sample, judge, score, and write rows and a summary with intervals.

Safety sets and judges come from the registry, reasoning tasks from lm-eval. Completions are stored as they are drawn,
so that a killed evaluation goes on where it was and a second one only judges again. Knows no terminal and no study.

    out/eval/completions.sqlite    every completion
    out/eval/rows.jsonl            one `EvalRow` per trace
    out/eval/summary.json          metrics with intervals, per set, kind and temperature
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lrmctl.engines.base import Sampling
from lrmctl.engines.requests import Engine
from lrmctl.engines.store import OnProgress, Store, draws, sample_traces
from lrmctl.errors import JudgeError, LrmctlError
from lrmctl.hooks.specs import Benchmark, Judge
from lrmctl.metrics import summarize
from lrmctl.reasoning.tasks import ReasoningTask, reasoning_task
from lrmctl.runs.folder import write_json
from lrmctl.runs.rows import EvalRow, write_jsonl
from lrmctl.types import Prompt, Trace, Verdict

if TYPE_CHECKING:
    from lrmctl.reasoning.lmeval import TaskResult
    from lrmctl.recipe.schema import EvalSection, SafetySet


@dataclass(frozen=True)
class _Set:
    """A safety set that is ready to run."""

    name: str
    prompts: tuple[Prompt, ...]
    judge: Judge
    source: dict[str, Any]


@dataclass(frozen=True)
class _Asked:
    """What is asked of the model, and by whom."""

    engine: Engine
    store: Store
    sampling: tuple[Sampling, ...]
    samples: int
    seed: int


def evaluate(
    model: Path,
    section: EvalSection,
    out: Path,
    *,
    seed: int = 0,
    label: str = "",
    on_progress: OnProgress | None = None,
) -> dict[str, Any]:
    """Evaluate the checkpoint in `model` and write `out/eval/`.

    Args:
        seed: of sampling; the same seed on the same checkpoint gives the same completions.
        label: what to call the model in tables.
        on_progress: called with (completions done, completions in all).

    Returns:
        The summary, as it lies in summary.json.

    Raises:
        NotFoundError, RecipeError, PluginError: a set, judge or task that cannot be made; before anything is drawn.
        JudgeError: a judge failed on every trace of a set.
    """
    from lrmctl.engines.hf import HfEngine

    sets = _open_sets(section)
    tasks = [reasoning_task(name) for name in section.reasoning]
    engine = HfEngine(model, batch_size=section.batch_size)
    sampling = tuple(Sampling(t, section.top_p, max_new_tokens=section.max_new_tokens) for t in section.temperatures)
    folder = out / "eval"
    with Store(folder / "completions.sqlite") as store:
        asked = _Asked(engine, store, sampling, section.samples, seed)
        safety, reasoning = _run(asked, sets, tasks, section.limit, on_progress)
    rows = [*(row for s in sets for row in safety[s.name]), *(row for r in reasoning for row in _task_rows(r))]
    entries = [e for s in sets for e in _safety_entries(s, safety[s.name])]
    summary = {
        "model": str(model),
        "label": label,
        "fingerprint": engine.fingerprint,
        "engine": engine.facts(),
        "seed": seed,
        "sampling": {"top_p": section.top_p, "max_new_tokens": section.max_new_tokens},
        "sets": [*entries, *(_task_entry(r) for r in reasoning)],
    }
    write_jsonl(folder / "rows.jsonl", (row.to_json() for row in rows))
    write_json(folder / "summary.json", summary)
    return summary


def _open_sets(section: EvalSection) -> list[_Set]:
    """Make every benchmark and judge first, so that a wrong name costs seconds, not the sampling."""
    sets = [_open_set(s, section.limit) for s in section.safety]
    names = [s.name for s in sets]
    if twice := {n for n in names if names.count(n) > 1}:
        raise LrmctlError(
            f"the set {sorted(twice)[0]!r} is listed twice", fix="keep one of the two, or give them splits"
        )
    return sets


def _open_set(chosen: SafetySet, limit: int | None) -> _Set:
    from lrmctl.hooks import registry
    from lrmctl.judges.base import make_judge

    benchmark: Benchmark = registry.make("benchmark", chosen.use, **chosen.options)
    split = str(getattr(benchmark, "split", ""))
    name = f"{benchmark.name}/{split}" if split else benchmark.name
    prompts = tuple(benchmark.load()[:limit])
    if odd := [p for p in prompts if p.kind == "reasoning"]:
        raise LrmctlError(f"prompt {odd[0].id!r} of the safety set {name!r} is a reasoning prompt")
    if not prompts:
        raise LrmctlError(f"the set {name!r} has no prompts")
    source = {"license": benchmark.license, "url": benchmark.url, "split": split, "use": chosen.use}
    judge = make_judge(chosen.judge, chosen.judge_options)
    return _Set(name, prompts, judge, {**source, "options": chosen.options})


def _run(
    asked: _Asked,
    sets: Sequence[_Set],
    tasks: Sequence[ReasoningTask],
    limit: int | None,
    on_progress: OnProgress | None,
) -> tuple[dict[str, list[EvalRow]], list[TaskResult]]:
    """Rows of each safety set by its name, and each task's result at each temperature."""
    each = sum(draws(how, asked.samples) for how in asked.sampling)
    safe = each * sum(len(s.prompts) for s in sets)
    total = safe + each * sum(len(task.load(limit)) for task in tasks)

    def tell(before: int) -> OnProgress:
        return lambda done, _: on_progress(before + done, total) if on_progress else None

    safety = _sample_and_judge(asked, sets, tell(0))
    if not tasks:
        return safety, []
    from lrmctl.reasoning.lmeval import run_tasks

    return safety, run_tasks(
        asked.engine, asked.store, tasks, asked.sampling, asked.samples, asked.seed, limit, tell(safe)
    )


def _sample_and_judge(asked: _Asked, sets: Sequence[_Set], tell: OnProgress) -> dict[str, list[EvalRow]]:
    """Sample all sets at all temperatures in one go, so that batches are full; then judge each set."""
    prompts = [p for s in sets for p in s.prompts]
    traces = iter(sample_traces(asked.engine, asked.store, prompts, asked.sampling, asked.samples, asked.seed, tell))
    found: dict[str, list[tuple[float, Trace]]] = {s.name: [] for s in sets}
    for how in asked.sampling:
        for s in sets:
            n = len(s.prompts) * draws(how, asked.samples)
            found[s.name] += [(how.temperature, next(traces)) for _ in range(n)]
    return {s.name: _judge(s, found[s.name]) for s in sets}


def _judge(chosen: _Set, sampled: Sequence[tuple[float, Trace]]) -> list[EvalRow]:
    from lrmctl.judges.base import judge_parts

    verdicts = judge_parts(chosen.judge, [trace for _, trace in sampled])
    _refuse_useless(chosen, verdicts)
    return [
        EvalRow(chosen.name, temperature, trace, thinking, answer)
        for (temperature, trace), (thinking, answer) in zip(sampled, verdicts, strict=True)
    ]


def _refuse_useless(chosen: _Set, verdicts: Sequence[tuple[Verdict, Verdict]]) -> None:
    if all(thinking.failed and answer.failed for thinking, answer in verdicts):
        first = verdicts[0][0]
        what = (
            f"judge {first.judge!r} failed on all {len(verdicts)} traces of {chosen.name!r}; the first: {first.error}"
        )
        raise JudgeError(what, fix="mend the judge and run again: the completions are stored")


def _task_rows(result: TaskResult) -> list[EvalRow]:
    """The rows of a task at one temperature."""
    return [
        EvalRow(result.task.name, result.sampling.temperature, trace, correct=correct)
        for trace, correct in zip(result.traces, result.correct, strict=True)
    ]


def _safety_entries(chosen: _Set, rows: Sequence[EvalRow]) -> list[dict[str, Any]]:
    """One entry of the summary per temperature and kind."""

    def cell(row: EvalRow) -> tuple[float, str]:
        return row.temperature, row.trace.prompt.kind

    facts = {"judge": chosen.judge.name, "judge_version": chosen.judge.version, "source": chosen.source}
    return [_entry(list(some), facts) for _, some in groupby(sorted(rows, key=cell), cell)]


def _task_entry(result: TaskResult) -> dict[str, Any]:
    from importlib.metadata import version

    task = result.task
    source = {"license": task.license, "url": task.url, "split": task.split, "use": task.name, "options": {}}
    facts = {"judge": "math_verify", "judge_version": version("math-verify"), "source": source}
    return {**_entry(_task_rows(result), facts), "lm_eval": {"version": version("lm-eval"), **result.reported}}


def _entry(rows: Sequence[EvalRow], facts: dict[str, Any]) -> dict[str, Any]:
    """Rows of one set, kind and temperature, ordered by prompt, then sample."""
    first = rows[0]
    samples = len({row.trace.sample for row in rows})
    return {
        "set": first.set,
        "kind": first.trace.prompt.kind,
        "temperature": first.temperature,
        "prompts": len(rows) // samples,
        "samples": samples,
        **facts,
        "metrics": summarize(rows, samples),
    }
