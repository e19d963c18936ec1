"""Pretrains the lab bases that a study asks for, several at a time; a base that is there already is kept."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lrmctl.errors import LrmctlError
from lrmctl.runs.damage import DamagedError, read_object
from lrmctl.runs.study_cells import BASE, cell_path
from lrmctl.studies.stages import OnEvent, StudyEvent

if TYPE_CHECKING:
    from lrmctl.recipe.schema.study import StudyRecipe

_MANIFEST = "manifest.json"


@dataclass(frozen=True)
class PretrainTask:
    """One base to pretrain, as sent to a worker.

    Attributes:
        name: the base's cell, which events name.
        out: the model's folder.
        fix: what to change if the base does not pass the gate.
    """

    name: str
    out: Path
    seed: int
    architecture: str
    fix: str


def pretrain_bases(
    recipe: StudyRecipe,
    folder: Path,
    rebuild: bool,
    on_event: OnEvent,
    run: Callable[[PretrainTask, OnEvent], None] | None = None,
) -> dict[str, Path]:
    """Pretrain every base that is not there yet, up to `jobs` at a time.

    Args:
        folder: the study's.
        rebuild: pretrain the lab's base of a study that names `lab:tiny` too.
        run: pretrains one base, in a worker process; `pretrain_base` by default.

    Returns:
        Base name -> the model's folder, for those that are pretrained.

    Raises:
        LrmctlError: a base does not pass the gate, or pretraining diverged; the others are finished first.
    """
    tasks = list(_tasks(recipe, folder, rebuild))
    missing = [task for task in tasks if not _is_done(task.out)]
    for task in tasks:
        if task not in missing:
            on_event(StudyEvent(task.name, "pretrain", "kept"))
    if errors := _run(missing, recipe.jobs, on_event, run or pretrain_base):
        raise errors[0]
    return {task.name.partition("/")[0]: task.out for task in tasks}


def _is_done(model: Path) -> bool:
    """Whether a base lies there that passed the gate; one that did not is made again."""
    try:
        manifest = read_object(model / _MANIFEST)
    except DamagedError:
        return False
    return bool(manifest) and bool(manifest.get("gate", {}).get("passed"))


def _tasks(recipe: StudyRecipe, folder: Path, rebuild: bool) -> Sequence[PretrainTask]:
    found = []
    for base in recipe.every_base:
        if base.pretrain is None and not rebuild:
            continue
        cell = cell_path(base.folder, None, BASE, matrix=recipe.is_matrix)
        seed = recipe.seed if base.pretrain is None else base.pretrain.seed
        architecture = "llama" if base.pretrain is None else base.pretrain.architecture
        if base.pretrain is None:
            fix = f"try another one: --set seed={seed + 1} --name NAME"
        else:
            fix = f"try another one: `pretrain: {{architecture: {architecture}, seed: {seed + 1}}}`, and a new --name"
        name = base.folder if not recipe.is_matrix else cell
        found.append(PretrainTask(name, folder / cell / "model", seed, architecture, fix))
    return found


def _run(
    tasks: Sequence[PretrainTask], jobs: int, on_event: OnEvent, run: Callable[[PretrainTask, OnEvent], None]
) -> list[Exception]:
    from lrmctl._util.workers import Workers

    if not tasks:
        return []
    started: dict[str, float] = {}
    errors: list[Exception] = []
    waiting = {task.name: task for task in tasks}
    with Workers(min(jobs, len(tasks))) as workers:
        while waiting or workers.busy:
            while waiting and workers.free:
                name = next(iter(waiting))
                started[name] = time.monotonic()
                on_event(StudyEvent(name, "pretrain", "start"))
                workers.start(name, run, waiting.pop(name))
            for event in workers.events():
                on_event(event)
            for name, error in workers.finished():
                errors += [error] if error else []
                seconds = time.monotonic() - started[name]
                on_event(StudyEvent(name, "pretrain", "failed" if error else "done", str(error or ""), seconds=seconds))
    return errors


def pretrain_base(task: PretrainTask, emit: OnEvent) -> None:
    """Pretrain one base, in a worker process.

    Raises:
        LrmctlError: it does not pass the gate, or pretraining diverged.
    """
    from lrmctl.lab.pretrain import make_base

    def progress(done: int, total: int, text: str = "") -> None:
        emit(StudyEvent(task.name, "pretrain", "progress", text, done, total))

    shutil.rmtree(task.out, ignore_errors=True)  # what an interrupted pretraining left
    gate: Mapping[str, object] = make_base(task.out, task.seed, progress, architecture=task.architecture)["gate"]
    if not gate["passed"]:
        reasons = gate["reasons"]
        assert isinstance(reasons, Sequence)
        what = f"the pretrained base {task.name} did not pass the gate: {'; '.join(map(str, reasons))}"
        raise LrmctlError(what, where=str(task.out), fix=task.fix)
