"""Trains, evaluates and analyses one cell of a study, each stage in a worker process and resumable."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from lrmctl.runs.writing import write_json
from lrmctl.studies.stages import OnEvent, StudyEvent, StudyTask

if TYPE_CHECKING:
    from lrmctl.backends.base import Progress


def run_stage(task: StudyTask, emit: OnEvent) -> None:
    """Run one stage in a worker process, and write its stamp when it is done."""
    start = time.monotonic()
    _STAGES[task.stage](task, emit)
    write_json(task.stamp, {"key": task.key, "seconds": round(time.monotonic() - start, 2)})


def _train(task: StudyTask, emit: OnEvent) -> None:
    from lrmctl.training.extend import OtherRecipeError
    from lrmctl.training.run import train

    def progress(p: Progress) -> None:
        shown = {k: p.metrics[k] for k in ("reward", "loss", "kl") if k in p.metrics}
        text = " ".join(f"{k} {v:.3f}" for k, v in shown.items())
        emit(StudyEvent(task.arm, "train", "progress", text, p.step, p.total))

    assert task.loaded is not None  # every train task carries its recipe
    try:
        train(
            task.loaded,
            runs_dir=task.folder.parent,
            name=task.folder.name,
            model=str(task.model),
            resume=(task.folder / "lock.json").exists(),
            restart="allow",
            on_progress=progress,
            on_sampling=lambda done, total: emit(StudyEvent(task.arm, "sample", "progress", "", done, total)),
        )
    except OtherRecipeError as error:
        fix = f"remove {task.folder} to train it again, or take the change back; the other arms are kept"
        raise OtherRecipeError(error.what, error.where, fix) from None


def _build(task: StudyTask, emit: OnEvent) -> None:
    from lrmctl.builders.run import build
    from lrmctl.errors import RunExistsError

    assert task.loaded is not None  # so does every build
    try:
        build(
            task.loaded.override({"model": str(task.model)}, "the study's model"),
            runs_dir=task.folder.parent,
            name=task.folder.name,
            on_stage=lambda stage, done, total: emit(StudyEvent(task.arm, "build", "progress", stage, done, total)),
        )
    except RunExistsError as error:
        fix = f"remove {task.folder} to build it again, or take the change back; the arms are kept"
        raise RunExistsError(error.what, error.where, fix) from None


def _evaluate(task: StudyTask, emit: OnEvent) -> None:
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


def _analyze(task: StudyTask, emit: OnEvent) -> None:
    from lrmctl.analysis import analyze

    analyze(
        task.model,
        task.folder,
        task.study.analysis,
        base_dir=None if task.is_base else task.base_folder,
        base_model=None if task.is_base else task.base_model,
        on_progress=lambda done, total: emit(StudyEvent(task.arm, "analyze", "progress", "", done, total)),
    )


def _remove(task: StudyTask, emit: OnEvent) -> None:
    """Delete the weights, unless a model trained from them is an adapter, which needs them."""
    from lrmctl.models import is_adapter
    from lrmctl.runs.weights import remove_weights

    study = task.folder.parents[task.arm.count("/")]
    followers = [need.partition(":")[2] for need in task.needs if need.startswith("train:")]
    if any(is_adapter(study / follower / "model") for follower in followers if follower != task.arm):
        emit(StudyEvent(task.arm, "remove", "progress", "kept: an adapter was trained on it"))
        return
    freed = remove_weights(task.folder)
    emit(StudyEvent(task.arm, "remove", "progress", f"{freed:,} bytes freed"))


_STAGES = {"train": _train, "build": _build, "eval": _evaluate, "analyze": _analyze, "remove": _remove}
