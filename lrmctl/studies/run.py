"""A study: one base model x several recipes x one evaluation x one analysis -> one report.

The graph runs in worker processes, two stages side by side. What a stage has finished is stamped with a hash of all
that went into it, so that the same command after any interruption goes on where it stopped and repeats nothing. This
file decides order and identity only; training, evaluating, analysing and reporting are other rooms' business.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lrmctl.errors import BackendError, LrmctlError, RunExistsError
from lrmctl.runs.damage import DamagedError, read_object
from lrmctl.runs.holding import HELD, hold
from lrmctl.runs.marks import MARK
from lrmctl.runs.marks import mark as mark_own
from lrmctl.runs.names import check_name
from lrmctl.runs.writing import write_json

if TYPE_CHECKING:
    from lrmctl.recipe.load import LoadedRecipe
    from lrmctl.recipe.schema.recipes import StudyRecipe

BASE = "base"
STAGES = ("train", "eval", "analyze")
_ONE_THREAD = {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE", "TOKENIZERS_PARALLELISM": "false"}


@dataclass(frozen=True)
class StudyEvent:
    """What happened to one stage of one arm; `state` is start, progress, done, kept or failed."""

    arm: str
    stage: str
    state: str
    text: str = ""
    done: int = 0
    total: int = 0
    seconds: float = 0.0


@dataclass(frozen=True)
class StudyTask:
    """One stage of one arm, as a worker receives it: plain data, nothing loaded."""

    arm: str
    stage: str
    folder: Path
    model: Path
    key: str
    loaded: LoadedRecipe | None
    study: StudyRecipe
    base_folder: Path

    @property
    def name(self) -> str:
        return f"{self.stage}:{self.arm}"

    @property
    def stamp(self) -> Path:
        return self.folder / "stages" / f"{self.stage}.json"


def run_study(
    loaded: LoadedRecipe,
    *,
    runs_dir: Path,
    name: str | None = None,
    rebuild_base: bool = False,
    on_event: Callable[[StudyEvent], None] = lambda _: None,
) -> Path:
    """Run, or go on with, a study; returns the report's path.

    Args:
        runs_dir: the study's folder is `runs_dir/name`; it holds one run folder per arm.
        rebuild_base: pretrain the lab's base model anew instead of taking the shipped one.
        on_event: hears every start, progress and end of a stage.

    Raises:
        RunExistsError: the folder holds a study of another recipe.
        BackendError: at least one arm failed; the report was written without it.
    """
    recipe: StudyRecipe = loaded.recipe  # type: ignore[assignment]  # the CLI sends only studies here
    folder = (runs_dir / check_name(recipe.name if name is None else name, "--name")).absolute()
    _claim(folder, loaded, rebuild_base)
    with hold(folder, "running the study"):
        return _run_all(loaded, folder, runs_dir, rebuild_base, on_event)


def _run_all(
    loaded: LoadedRecipe, folder: Path, runs_dir: Path, rebuild_base: bool, on_event: Callable[[StudyEvent], None]
) -> Path:
    from lrmctl.preflight.validate import load_arms

    recipe: StudyRecipe = loaded.recipe  # type: ignore[assignment]  # as above
    model = _base_model(recipe, folder, runs_dir, rebuild_base, on_event)
    arms = load_arms(loaded)
    tasks = _tasks(recipe, arms, folder, model)
    failures = _run_graph(tasks, recipe.jobs, on_event)
    report = _report(recipe, folder, _failed(failures))
    if failures:
        arm, error = next(iter(failures.items()))
        raise BackendError(
            f"{len(failures)} of {len(recipe.arms) + 1} arms failed; the first, {arm}: {error}",
            where=str(folder),
            fix=f"the same command goes on; the report without them is {report}",
        )
    return report


def _digest(*parts: Any) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:16]


def _claim(folder: Path, loaded: LoadedRecipe, rebuild_base: bool) -> None:
    """Make the study's folder, or see that it is this very study's."""
    identity = {"recipe": loaded.resolved, "rebuild_base": rebuild_base}
    mark = folder / "study.json"
    if mark.exists():
        if read_object(mark) != json.loads(json.dumps(identity, default=str)):
            raise RunExistsError(
                f"{folder} holds another study (its recipe differs)",
                where=str(mark),
                fix="give this one a name of its own with --name, or remove that folder",
            )
        return
    if folder.exists() and (not folder.is_dir() or {p.name for p in folder.iterdir()} - {MARK, HELD}):
        raise RunExistsError(f"{folder} is taken by something that is not a study", fix="choose another --name")
    mark_own(folder)
    write_json(mark, json.loads(json.dumps(identity, default=str)))


def _base_model(
    recipe: StudyRecipe, folder: Path, runs_dir: Path, rebuild: bool, on_event: Callable[[StudyEvent], None]
) -> Path:
    from lrmctl.models import resolve_model

    if not rebuild:
        return resolve_model(recipe.base, runs_dir)
    out = folder / BASE / "model"
    if not (out / "manifest.json").exists():
        shutil.rmtree(out, ignore_errors=True)
        _pretrain(out, recipe.seed, on_event)
    else:
        on_event(StudyEvent(BASE, "pretrain", "kept"))
    return out


def _pretrain(out: Path, seed: int, on_event: Callable[[StudyEvent], None]) -> None:
    from lrmctl.lab.pretrain import make_base

    def progress(done: int, total: int, text: str = "") -> None:
        on_event(StudyEvent(BASE, "pretrain", "progress", text, done, total))

    start = time.monotonic()
    on_event(StudyEvent(BASE, "pretrain", "start"))
    gate = make_base(out, seed, progress)["gate"]
    if not gate["passed"]:
        raise LrmctlError(
            f"the rebuilt base did not pass the gate: {'; '.join(gate['reasons'])}",
            where=str(out),
            fix=f"try another one: --set seed={seed + 1} --name NAME",
        )
    on_event(StudyEvent(BASE, "pretrain", "done", seconds=time.monotonic() - start))


def _tasks(
    recipe: StudyRecipe, arms: Mapping[str, LoadedRecipe], folder: Path, base_model: Path
) -> dict[str, StudyTask]:
    """Every stage of every arm by name. Training comes before evaluation comes before analysis."""
    from lrmctl._util.version import __version__
    from lrmctl.models import fingerprint

    base_print = fingerprint(base_model)
    tasks: dict[str, StudyTask] = {}

    def add(arm: str, stage: str, model: Path, loaded: LoadedRecipe | None, *inputs: Any) -> None:
        key = _digest(__version__, base_print, recipe.seed, stage, *inputs)
        task = StudyTask(arm, stage, folder / arm, model, key, loaded, recipe, folder / BASE)
        tasks[task.name] = task

    evaluation, analysis = recipe.evaluation.model_dump(mode="json"), recipe.analysis.model_dump(mode="json")
    for arm in (None, *recipe.arms):
        name = arm.name if arm else BASE
        loaded = arms[name] if arm else None
        resolved = loaded.resolved if loaded else None
        model = folder / name / "model" if arm else base_model
        if arm:
            add(name, "train", model, loaded, resolved)
        add(name, "eval", model, None, resolved, evaluation)
        add(name, "analyze", model, None, resolved, evaluation, analysis)
    for arm in recipe.arms:  # the arm starts from the study's base, whatever its recipe names
        task = tasks[f"train:{arm.name}"]
        tasks[task.name] = replace(task, model=base_model)
    return tasks


def _needs(tasks: Mapping[str, StudyTask]) -> dict[str, set[str]]:
    """Predecessors of each task: own training, own evaluation, and the base's analysis (its entropy threshold)."""
    needs: dict[str, set[str]] = {name: set() for name in tasks}
    for name, task in tasks.items():
        earlier = STAGES[: STAGES.index(task.stage)]
        needs[name] |= {f"{stage}:{task.arm}" for stage in earlier[-1:] if f"{stage}:{task.arm}" in tasks}
        if task.stage == "analyze" and task.arm != BASE:
            needs[name].add(f"analyze:{BASE}")
    return needs


def _urgency(task: StudyTask) -> tuple[int, int]:
    """RL trainings take longest, so they start first; then what others wait for."""
    long = task.loaded is not None and task.loaded.recipe.kind == "rl"
    return (0 if long else 1 if task.arm == BASE else 2, STAGES.index(task.stage))


def _run_graph(tasks: Mapping[str, StudyTask], jobs: int, on_event: Callable[[StudyEvent], None]) -> dict[str, str]:
    """Run all tasks in dependency order; returns the arms that failed with the reason."""
    from graphlib import TopologicalSorter

    from lrmctl._util.workers import Workers

    order: TopologicalSorter[str] = TopologicalSorter(_needs(tasks))
    order.prepare()
    for name, value in _ONE_THREAD.items():  # the workers inherit it; two of them share the machine
        os.environ.setdefault(name, value)
    failures: dict[str, str] = {}
    started: dict[str, float] = {}
    waiting: list[StudyTask] = []
    with Workers(jobs) as workers:
        while order.is_active():
            waiting += [tasks[name] for name in order.get_ready()]
            waiting.sort(key=_urgency)
            for task in [t for t in waiting if t.arm in failures or _kept(t)]:
                waiting.remove(task)
                on_event(StudyEvent(task.arm, task.stage, "failed" if task.arm in failures else "kept"))
                order.done(task.name)
            while waiting and workers.free:
                task = waiting.pop(0)
                started[task.name] = time.monotonic()
                on_event(StudyEvent(task.arm, task.stage, "start"))
                workers.start(task.name, run_task, task)
            for event in workers.events():
                on_event(event)
            for name, error in workers.finished():
                task, seconds = tasks[name], time.monotonic() - started[name]
                if error is not None:
                    failures[task.arm] = str(error)
                state = "done" if error is None else "failed"
                on_event(StudyEvent(task.arm, task.stage, state, str(error or ""), seconds=seconds))
                order.done(name)
    return failures


def _kept(task: StudyTask) -> bool:
    """True if this very stage, with these very inputs, was finished before."""
    try:
        return bool(read_object(task.stamp).get("key") == task.key)
    except DamagedError:  # then it is done again
        return False


def run_task(task: StudyTask, emit: Callable[[StudyEvent], None]) -> None:
    """One stage, inside a worker process; stamps it when it is done."""
    start = time.monotonic()
    {"train": _train, "eval": _evaluate, "analyze": _analyze}[task.stage](task, emit)
    write_json(task.stamp, {"key": task.key, "seconds": round(time.monotonic() - start, 2)})


def _train(task: StudyTask, emit: Callable[[StudyEvent], None]) -> None:
    from lrmctl.backends.base import Progress
    from lrmctl.training.run import train

    def progress(p: Progress) -> None:
        shown = {k: p.metrics[k] for k in ("reward", "loss", "kl") if k in p.metrics}
        text = " ".join(f"{k} {v:.3f}" for k, v in shown.items())
        emit(StudyEvent(task.arm, "train", "progress", text, p.step, p.total))

    assert task.loaded is not None  # every train task carries its recipe
    train(
        task.loaded,
        runs_dir=task.folder.parent,
        name=task.folder.name,
        model=str(task.model),
        resume=(task.folder / "lock.json").exists(),
        restart="allow",
        on_progress=progress,
    )


def _evaluate(task: StudyTask, emit: Callable[[StudyEvent], None]) -> None:
    from lrmctl.evaluation import evaluate
    from lrmctl.evaluation.contamination import training_of

    evaluate(
        task.model,
        task.study.evaluation,
        task.folder,
        seed=task.study.seed,
        label=task.arm,
        variant="",
        training=training_of(task.folder, task.folder.parent),
        on_progress=lambda done, total: emit(StudyEvent(task.arm, "eval", "progress", "", done, total)),
    )


def _analyze(task: StudyTask, emit: Callable[[StudyEvent], None]) -> None:
    from lrmctl.analysis import analyze

    analyze(
        task.model,
        task.folder,
        task.study.analysis,
        base_dir=None if task.arm == BASE else task.base_folder,
        on_progress=lambda done, total: emit(StudyEvent(task.arm, "analyze", "progress", "", done, total)),
    )


def _report(recipe: StudyRecipe, folder: Path, notes: tuple[str, ...]) -> Path:
    from lrmctl.reporting.build import ArmFolder, build_report

    arms = [ArmFolder(BASE, "Base", False, folder / BASE)]
    arms += [ArmFolder(a.name, a.label or a.name, a.control, folder / a.name) for a in recipe.arms]
    return build_report(arms, folder / "report.html", title=recipe.description or recipe.name, notes=notes)


def _failed(failures: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(f"{arm} failed: {error.splitlines()[0]}" for arm, error in failures.items())
