"""One evaluation from first to last; see the package."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lrmctl.engines.base import Sampling
from lrmctl.engines.generators import make_generator
from lrmctl.engines.requests import Engine, Rendering
from lrmctl.engines.store import OnProgress, Store, draws, sample_traces
from lrmctl.errors import JudgeError
from lrmctl.evaluation.sets import OpenSet, open_sets
from lrmctl.metrics import summarize
from lrmctl.reasoning.tasks import ReasoningTask, reasoning_task
from lrmctl.runs.folder import write_json
from lrmctl.runs.rows import EvalRow, write_jsonl
from lrmctl.types import Trace, Verdict

if TYPE_CHECKING:
    from lrmctl.reasoning.lmeval import TaskResult
    from lrmctl.recipe.evaluation import EvalSection


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
    sets = open_sets(section)
    tasks = [reasoning_task(chosen.use, chosen.options) for chosen in section.reasoning]
    engine = _engine(model, section)
    sampling = tuple(
        Sampling(t, section.top_p, section.top_k, max_new_tokens=section.max_new_tokens) for t in section.temperatures
    )
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


def _engine(model: Path, section: EvalSection) -> Engine:
    size = None if section.batch_size == "auto" else section.batch_size
    rendering = Rendering(section.system, section.template_args)
    return make_generator(model, section.engine, batch_size=size, rendering=rendering, decoding=section.decoding)


def _run(
    asked: _Asked,
    sets: Sequence[OpenSet],
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


def _sample_and_judge(asked: _Asked, sets: Sequence[OpenSet], tell: OnProgress) -> dict[str, list[EvalRow]]:
    """Sample all sets at all temperatures in one go, so that batches are full; then judge each set."""
    prompts = [p for s in sets for p in s.prompts]
    traces = iter(sample_traces(asked.engine, asked.store, prompts, asked.sampling, asked.samples, asked.seed, tell))
    found: dict[str, list[tuple[float, Trace]]] = {s.name: [] for s in sets}
    for how in asked.sampling:
        for s in sets:
            n = len(s.prompts) * draws(how, asked.samples)
            found[s.name] += [(how.temperature, next(traces)) for _ in range(n)]
    return {s.name: _judge(s, found[s.name]) for s in sets}


def _judge(chosen: OpenSet, sampled: Sequence[tuple[float, Trace]]) -> list[EvalRow]:
    from lrmctl.judges.base import judge_parts
    from lrmctl.judges.parts import judge_on

    traces = [trace for _, trace in sampled]
    verdicts = judge_parts(chosen.judge, traces)
    _refuse_useless(chosen, verdicts)
    opinions = [judge_on(asked.judge, traces, asked.part) for asked in chosen.also]
    return [
        EvalRow(chosen.name, temperature, trace, thinking, answer, also=tuple(said[i] for said in opinions))
        for i, ((temperature, trace), (thinking, answer)) in enumerate(zip(sampled, verdicts, strict=True))
    ]


def _refuse_useless(chosen: OpenSet, verdicts: Sequence[tuple[Verdict, Verdict]]) -> None:
    if all(thinking.failed and answer.failed for thinking, answer in verdicts):
        first = verdicts[0][0]
        what = (
            f"judge {first.judge!r} failed on all {len(verdicts)} traces of {chosen.name!r}; the first: {first.error}"
        )
        raise JudgeError(what, fix="mend the judge and run again: the completions are stored")


def _task_rows(result: TaskResult) -> list[EvalRow]:
    """The rows of a task at one temperature."""
    return [
        EvalRow(
            result.task.name,
            result.sampling.temperature,
            trace,
            correct=graded.correct,
            extracted=graded.extracted,
            scores=graded.scores,
        )
        for trace, graded in zip(result.traces, result.graded, strict=True)
    ]


def _safety_entries(chosen: OpenSet, rows: Sequence[EvalRow]) -> list[dict[str, Any]]:
    """One entry of the summary per temperature and kind."""

    def cell(row: EvalRow) -> tuple[float, str]:
        return row.temperature, row.trace.prompt.kind

    facts = {"judge": chosen.judge.name, "judge_version": chosen.judge.version, "source": chosen.source}
    return [_entry(list(some), facts) for _, some in groupby(sorted(rows, key=cell), cell)]


def _task_entry(result: TaskResult) -> dict[str, Any]:
    from importlib.metadata import version

    task = result.task
    source = {"license": task.license, "url": task.url, "split": task.split, "use": task.name, "options": {}}
    facts = {"judge": task.grader[0], "judge_version": task.grader[1], "source": source}
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
