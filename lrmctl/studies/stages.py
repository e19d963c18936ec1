"""The stages of a study as a graph: dependencies, start order, and which stages are already finished.

Up to `jobs` stages run at a time in worker processes. A finished stage is stamped with a hash of all its inputs, so
after an interruption the same command repeats nothing.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lrmctl.runs.damage import DamagedError, read_object

if TYPE_CHECKING:
    from lrmctl.recipe.load import LoadedRecipe
    from lrmctl.recipe.schema.recipes import StudyRecipe

BASE = "base"
STAGES = ("train", "eval", "analyze")
_ONE_THREAD = {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE", "TOKENIZERS_PARALLELISM": "false"}

OnEvent = Callable[["StudyEvent"], None]


@dataclass(frozen=True)
class StudyEvent:
    """An event of one stage of one arm; `state` is start, progress, done, kept or failed."""

    arm: str
    stage: str
    state: str
    text: str = ""
    done: int = 0
    total: int = 0
    seconds: float = 0.0


@dataclass(frozen=True)
class StudyTask:
    """One stage of one arm, as sent to a worker: plain data, nothing loaded."""

    arm: str
    stage: str
    folder: Path
    model: Path
    key: str
    loaded: LoadedRecipe | None
    study: StudyRecipe
    base_folder: Path
    base_model: Path

    @property
    def name(self) -> str:
        return f"{self.stage}:{self.arm}"

    @property
    def stamp(self) -> Path:
        return self.folder / "stages" / f"{self.stage}.json"


def stages_of(
    recipe: StudyRecipe, arms: Mapping[str, LoadedRecipe], folder: Path, base_model: Path
) -> dict[str, StudyTask]:
    """Every stage of every arm by name, in the order training, evaluation, analysis."""
    from lrmctl._util.version import __version__
    from lrmctl.models import fingerprint

    base_fingerprint = fingerprint(base_model)
    tasks: dict[str, StudyTask] = {}

    def add(arm: str, stage: str, model: Path, loaded: LoadedRecipe | None, *inputs: Any) -> None:
        key = _hash(__version__, base_fingerprint, recipe.seed, stage, *inputs)
        task = StudyTask(arm, stage, folder / arm, model, key, loaded, recipe, folder / BASE, base_model)
        tasks[task.name] = task

    evaluation, analysis = recipe.evaluation.model_dump(mode="json"), recipe.analysis.model_dump(mode="json")
    for arm in (None, *recipe.arms):
        name = arm.name if arm else BASE
        loaded = arms[name] if arm else None
        resolved = loaded.resolved if loaded else None
        model = folder / name / "model" if arm else base_model
        if arm:
            add(name, "train", base_model, loaded, resolved)  # regardless of the model in the arm's recipe
        add(name, "eval", model, None, resolved, evaluation)
        add(name, "analyze", model, None, resolved, evaluation, analysis)
    return tasks


def _dependencies(tasks: Mapping[str, StudyTask]) -> dict[str, set[str]]:
    """Predecessors of each task: own training, own evaluation, and the base's analysis (its entropy threshold)."""
    dependencies: dict[str, set[str]] = {name: set() for name in tasks}
    for name, task in tasks.items():
        earlier = STAGES[: STAGES.index(task.stage)]
        dependencies[name] |= {f"{stage}:{task.arm}" for stage in earlier[-1:] if f"{stage}:{task.arm}" in tasks}
        if task.stage == "analyze" and task.arm != BASE:
            dependencies[name].add(f"analyze:{BASE}")
    return dependencies


def _priority(task: StudyTask) -> tuple[int, int]:
    """RL training takes longest, so it starts first; then stages that others depend on."""
    long = task.loaded is not None and task.loaded.recipe.kind == "rl"
    return (0 if long else 1 if task.arm == BASE else 2, STAGES.index(task.stage))


def run_graph(
    tasks: Mapping[str, StudyTask],
    run_stage: Callable[[StudyTask, OnEvent], None],
    jobs: int,
    on_event: OnEvent,
) -> dict[str, str]:
    """Run all tasks in dependency order; returns failed arms -> reason.

    Args:
        run_stage: runs one task, in a worker process.
        jobs: number of worker processes.
    """
    from graphlib import TopologicalSorter

    from lrmctl._util.workers import Workers

    order: TopologicalSorter[str] = TopologicalSorter(_dependencies(tasks))
    order.prepare()
    for name, value in _ONE_THREAD.items():  # inherited by the workers, which share the machine
        os.environ.setdefault(name, value)
    failures: dict[str, str] = {}
    started: dict[str, float] = {}
    waiting: list[StudyTask] = []
    with Workers(jobs) as workers:
        while order.is_active():
            waiting += [tasks[name] for name in order.get_ready()]
            waiting.sort(key=_priority)
            for task in [t for t in waiting if t.arm in failures or is_finished(t)]:
                waiting.remove(task)
                on_event(StudyEvent(task.arm, task.stage, "failed" if task.arm in failures else "kept"))
                order.done(task.name)
            while waiting and workers.free:
                task = waiting.pop(0)
                started[task.name] = time.monotonic()
                on_event(StudyEvent(task.arm, task.stage, "start"))
                workers.start(task.name, run_stage, task)
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


def is_finished(task: StudyTask) -> bool:
    """Whether this stage has finished with the same inputs."""
    try:
        return bool(read_object(task.stamp).get("key") == task.key)
    except DamagedError:  # the stage is repeated
        return False


def _hash(*parts: Any) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:16]
