"""One evaluation from start to end; see the package.

First all completions are generated into the store, then each set is read back in parts and judged: a judge's model is
never in memory together with the evaluated one, nor are all texts at once.
"""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lrmctl import console
from lrmctl.engines.base import Engine, OnProgress, Rendering, Sampling
from lrmctl.engines.factory import make_engine
from lrmctl.engines.store import Store
from lrmctl.evaluation.benchmarks import PreparedBenchmark, open_sets, refuse_twice
from lrmctl.evaluation.forced import with_thoughts
from lrmctl.evaluation.generate import Generation, noted, refuse_failures
from lrmctl.evaluation.judge import judge_set, slim
from lrmctl.evaluation.settings import claim, settings_of
from lrmctl.evaluation.summary import safety_entries, task_entries
from lrmctl.evaluation.thinking import ObservedThinking, as_settled, thinking_facts
from lrmctl.reasoning.tasks import ReasoningTask, reasoning_task
from lrmctl.recipe.schema.decoding import Budget, Prefix
from lrmctl.recipe.schema.thinking import override_of
from lrmctl.runs.damage import DamagedError, read_object
from lrmctl.runs.eval_rows import EvalRow
from lrmctl.runs.folder import eval_folder, write_json
from lrmctl.runs.holding import hold
from lrmctl.runs.jsonl import write_jsonl
from lrmctl.runs.marks import mark
from lrmctl.runs.names import check_name
from lrmctl.runs.tracking import TrackerUse, tell
from lrmctl.thinking import UNKNOWN, Thinking

if TYPE_CHECKING:
    from lrmctl.evaluation.contamination import TrainingPrompts
    from lrmctl.reasoning.lm_eval.run import TaskResult
    from lrmctl.recipe.schema.evaluation import EvalSection


def evaluate(
    model: Path | str,
    section: EvalSection,
    out: Path,
    *,
    seed: int = 0,
    label: str = "",
    variant: str | None = None,
    training: TrainingPrompts | None = None,
    replace: bool = False,
    trackers: Sequence[TrackerUse] = (),
    on_progress: OnProgress | None = None,
) -> dict[str, Any]:
    """Evaluate a model and write `out/eval/`, or `out/eval-VARIANT/`.

    Args:
        model: the checkpoint's folder; for an engine that uses servers, the model's name there.
        seed: of sampling; the same seed on the same checkpoint gives the same completions.
        label: the model's name in tables.
        variant: name of an evaluation beside the run's own; by default that of the decoding mode, if there is one.
        training: the model's training data, to be searched for evaluation prompts.
        replace: move a finished evaluation with other settings, or of another model, aside (to `before-N/`).
        trackers: are told if `out` is no run with trackers of its own.
        on_progress: called with (completions done, completions in all).

    Returns:
        The summary, as written to summary.json.

    Raises:
        RunExistsError: an evaluation with other settings, or of another model, exists; see `replace`.
        NotFoundError, RecipeError, PluginError: a set, judge or task that cannot be made; raised before anything is
            generated.
        JudgeError: a judge failed on every trace of a set.
        LrmctlError: more completions failed than the section tolerates; the others are stored.
    """
    notes: list[str] = []
    with noted(notes):
        run = _Evaluation.of(model, section)
    chosen = variant_of(section) if variant is None else variant
    folder = eval_folder(out, chosen and check_name(chosen, "--variant"))
    mark(out)
    own = Path(model) == out.absolute() / "model"
    with hold(folder, "evaluating"):
        claim(folder, settings_of(section), seed, run.engine.fingerprint, replace=replace, own=own)
        summary = _evaluate(run, model, folder, seed, label, training, notes, on_progress)
    tell(out, "evaluated", summary, chosen, also=trackers, say=console.say)
    return summary


def _evaluate(
    run: _Evaluation,
    model: Path | str,
    folder: Path,
    seed: int,
    label: str,
    training: TrainingPrompts | None,
    notes: list[str],
    on_progress: OnProgress | None,
) -> dict[str, Any]:
    section = run.section
    overlap = _overlap(training, run.sets, run.tasks, section.limit)
    with Store(folder / "completions.sqlite") as store:
        generation = Generation(run.engine, store, _sampling(section), section.samples, seed)
        before = len(store)
        notes += _end_note(model, section, run.engine)
        with noted(notes):
            notes += run.generate(generation, on_progress or (lambda _done, _total: None))
            notes += run.settle(generation)
        generated = len(store) > before
        write_jsonl(folder / "rows.jsonl", (row.to_json() for row in run.rows(generation)))
    summary = {
        "model": str(model),
        "label": label,
        "fingerprint": run.engine.fingerprint,
        "engine": run.engine.facts() if generated else _generated_by(folder, run.engine),
        "seed": seed,
        "settings": settings_of(section),
        "sampling": sampling_facts(section),
        "thinking": thinking_facts(run.thinking, run.shown),
        "overlap": overlap,
        **_trusted(model, section),
        "warnings": notes,
        "sets": run.entries(),
    }
    write_json(folder / "summary.json", summary)
    return summary


def _end_note(model: Path | str, section: EvalSection, engine: Any) -> list[str]:
    """A note if the model's end-of-text settings contradict each other."""
    if not section.engine.reads_weights:
        return []
    from lrmctl.models import end_of_text

    note = end_of_text(engine.tokenizer, Path(model)).note
    return [note] if note else []


def _trusted(model: Path | str, section: EvalSection) -> dict[str, Any]:
    """Notes of a summary on an adapter's base, and on custom code that was allowed to run."""
    from lrmctl.models import is_adapter, model_facts

    facts: dict[str, Any] = {"trust_remote_code": True} if section.trust_remote_code else {}
    if section.engine.reads_weights and is_adapter(Path(model)):
        facts["base"] = model_facts(Path(model))["base"]
    return facts


def _generated_by(folder: Path, engine: Engine) -> Mapping[str, Any]:
    """The engine that generated the stored completions, as recorded by an earlier run; this one has generated
    nothing."""
    try:
        told = read_object(folder / "summary.json")
    except DamagedError:  # it is about to be rewritten
        return engine.facts()
    facts: Mapping[str, Any] = told.get("engine") or {}
    return facts if facts and told.get("fingerprint") == engine.fingerprint else engine.facts()


def variant_of(section: EvalSection) -> str:
    """The variant implied by an evaluation's decoding mode; empty for none."""
    how = section.decoding
    if how.mode == "default":
        return ""
    much = [how.tokens] if isinstance(how, Budget) else [how.tokens, how.share] if isinstance(how, Prefix) else []
    return "-".join([how.mode, *(f"{value:g}" for value in much if value is not None)])


def sampling_facts(section: EvalSection) -> dict[str, Any]:
    """Sampling settings, except temperature and seed."""
    return {
        "top_p": section.top_p,
        "top_k": section.top_k,
        "max_new_tokens": section.max_new_tokens,
        "decoding": section.decoding.model_dump(mode="json"),
        "system": section.system,
        "template_args": section.template_args,
    }


def _sampling(section: EvalSection) -> tuple[Sampling, ...]:
    return tuple(
        Sampling(t, section.top_p, section.top_k, max_new_tokens=section.max_new_tokens) for t in section.temperatures
    )


@dataclass
class _Evaluation:
    """What is evaluated, and the results so far."""

    section: EvalSection
    engine: Engine
    sets: Sequence[PreparedBenchmark]
    tasks: Sequence[ReasoningTask]
    thinking: Thinking = UNKNOWN
    shown: ObservedThinking = field(default_factory=ObservedThinking)
    results: Sequence[TaskResult] = ()
    slim: dict[str, list[EvalRow]] = field(default_factory=lambda: defaultdict(list))

    @classmethod
    def of(cls, model: Path | str, section: EvalSection) -> _Evaluation:
        """Make everything first, so that a wrong name fails within seconds."""
        tasks = [reasoning_task(chosen.use, chosen.options) for chosen in section.reasoning]
        refuse_twice([each.name for task in tasks for each in task.each], "task")
        size = None if section.batch_size == "auto" else section.batch_size
        rendering = Rendering(section.system, section.template_args, override_of(section.thinking))
        if section.trust_remote_code and Path(model).is_dir():
            from lrmctl.models import allow_code

            allow_code(Path(model))
        engine = make_engine(model, section.engine, batch_size=size, rendering=rendering, decoding=section.decoding)
        sets = open_sets(section)
        if section.decoding.mode == "prefix":
            sets, tasks = with_thoughts(engine, sets, tasks, section.limit)
        thinking = engine.thinking  # refuses a format other than the template's
        for warning in thinking.warnings:
            warnings.warn(warning, RuntimeWarning, stacklevel=2)
        return cls(section, engine, sets, tasks, thinking)

    def generate(self, generation: Generation, on_progress: OnProgress) -> list[str]:
        """Generate all completions; returns sentences about failures."""
        safe = generation.each * sum(len(s.prompts) for s in self.sets)
        total = safe + generation.each * sum(len(task.load(self.section.limit)) for task in self.tasks)
        tell = _once(on_progress, total)
        generation.fill([p for s in self.sets for p in s.prompts], lambda done, _: tell(done))
        self._run_tasks(generation, lambda done, _: tell(safe + done))
        self.engine.release()  # its memory is for the judges now
        errors = [c.error for c in generation.failed.values()]
        errors += [t.error for r in self.results for t in r.traces if t.finish_reason == "error"]
        note = refuse_failures(len(errors), total, errors[0] if errors else "", self.section.max_failed)
        return [note] if note else []

    def _run_tasks(self, generation: Generation, tell: OnProgress) -> None:
        if not self.tasks:
            return
        from lrmctl.reasoning.lm_eval.run import run_tasks

        how = (generation.sampling, generation.samples, generation.seed, self.section.limit)
        self.results = run_tasks(self.engine, generation.store, self.tasks, *how, tell)

    def settle(self, generation: Generation) -> list[str]:
        """Let the completions decide whether the model thinks, if nothing else does; returns contradictions."""
        for how in generation.sampling:
            for chosen in self.sets:
                for traces in generation.traces(chosen.prompts, how):
                    self.shown.see(traces, self.thinking)
        for result in self.results:
            if result.task.generated:
                self.shown.see(result.traces, self.thinking)
        found = self.shown.warnings(self.thinking)
        self.thinking = self.thinking.settled(self.shown.thoughts, self.shown.completions)
        return found

    def rows(self, generation: Generation) -> Iterator[EvalRow]:
        """Every row, safety first; collects what the metrics need."""
        for chosen in self.sets:
            parts = (
                [(how.temperature, as_settled(trace, self.thinking)) for trace in traces]
                for how in generation.sampling
                for traces in generation.traces(chosen.prompts, how)
            )
            yield from self._kept(judge_set(chosen, parts), chosen.name)
        for result in self.results:
            yield from self._kept(_task_rows(result, self.thinking), result.task.name)

    def _kept(self, rows: Iterator[EvalRow], name: str) -> Iterator[EvalRow]:
        for row in rows:
            self.slim[name].append(slim(row))
            yield row

    def entries(self) -> list[dict[str, Any]]:
        """One entry of the summary per set, kind and temperature."""
        safety = [entry for s in self.sets for entry in safety_entries(s, self.slim[s.name])]
        return [*safety, *(e for result in self.results for e in task_entries(result, self._rows_of(result)))]

    def _rows_of(self, result: TaskResult) -> list[EvalRow]:
        temperature = result.sampling.temperature
        return [row for row in self.slim[result.task.name] if row.temperature == temperature]


def _once(on_progress: OnProgress, total: int) -> Callable[[int], None]:
    """Reports each number of completions once, however many parts end with it, and work that goes on without any."""
    told = [-1]

    def tell(done: int) -> None:
        if done != told[0] or getattr(done, "work", done) != done:
            told[0] = done
            on_progress(done, total)

    return tell


def _task_rows(result: TaskResult, thinking: Thinking) -> Iterator[EvalRow]:
    """The rows of a task at one temperature."""
    for trace, graded in zip(result.traces, result.graded, strict=True):
        yield EvalRow(
            result.task.name,
            result.sampling.temperature,
            as_settled(trace, thinking),
            correct=graded.correct,
            extracted=graded.extracted,
            scores=graded.scores,
        )


def _overlap(
    training: TrainingPrompts | None,
    sets: Sequence[PreparedBenchmark],
    tasks: Sequence[ReasoningTask],
    limit: int | None,
) -> list[Mapping[str, Any]]:
    """Evaluation prompts that the model was trained on, by set."""
    if training is None:
        return []
    from lrmctl.evaluation.contamination import overlap

    asked = {s.name: s.prompts for s in sets} | {task.name: task.load(limit) for task in tasks}
    return [found.to_json() for found in overlap(training, asked)]
