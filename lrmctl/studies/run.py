"""A study: one base model x several recipes x one evaluation x one analysis -> one report.

After an interruption the same command resumes. This package only decides order and identity; training, evaluation,
analysis and reporting are in other packages.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from lrmctl.errors import BackendError, LrmctlError, RunExistsError
from lrmctl.runs.damage import read_object
from lrmctl.runs.holding import LOCK_FILE, hold
from lrmctl.runs.marks import MARKER_FILE
from lrmctl.runs.marks import mark as mark_own
from lrmctl.runs.names import check_name
from lrmctl.runs.writing import write_json
from lrmctl.studies.arms import run_stage
from lrmctl.studies.stages import BASE, OnEvent, StudyEvent, run_graph, stages_of

if TYPE_CHECKING:
    from lrmctl.recipe.load import LoadedRecipe
    from lrmctl.recipe.schema.recipes import StudyRecipe


def run_study(
    loaded: LoadedRecipe,
    *,
    runs_dir: Path,
    name: str | None = None,
    rebuild_base: bool = False,
    on_event: OnEvent = lambda _: None,
) -> Path:
    """Run or resume a study; returns the report's path.

    Args:
        runs_dir: the study's folder is `runs_dir/name`; it holds one run folder per arm.
        rebuild_base: pretrain the lab's base model instead of using the shipped one.
        on_event: called at every start, progress and end of a stage.

    Raises:
        RunExistsError: the folder holds a different study, or something else.
        BackendError: at least one arm failed; the report was written without it.
    """
    recipe: StudyRecipe = loaded.recipe  # type: ignore[assignment]  # the CLI sends only studies here
    folder = (runs_dir / check_name(recipe.name if name is None else name, "--name")).absolute()
    _claim(folder, loaded, rebuild_base)
    with hold(folder, "running the study"):
        return _run_all(loaded, folder, runs_dir, rebuild_base, on_event)


def _run_all(loaded: LoadedRecipe, folder: Path, runs_dir: Path, rebuild_base: bool, on_event: OnEvent) -> Path:
    from lrmctl.preflight.validate import load_arms

    recipe: StudyRecipe = loaded.recipe  # type: ignore[assignment]  # as above
    model = _base_model(recipe, folder, runs_dir, rebuild_base, on_event)
    arms = load_arms(loaded)
    tasks = stages_of(recipe, arms, folder, model)
    failures = run_graph(tasks, run_stage, recipe.jobs, on_event)
    report = _report(recipe, folder, _failure_notes(failures))
    if failures:
        arm, error = next(iter(failures.items()))
        raise BackendError(
            f"{len(failures)} of {len(recipe.arms) + 1} arms failed; the first, {arm}: {error}",
            where=str(folder),
            fix=f"the same command goes on; the report without them is {report}",
        )
    return report


def _claim(folder: Path, loaded: LoadedRecipe, rebuild_base: bool) -> None:
    """Create the study's folder, or check that it belongs to this study."""
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
    if folder.exists() and (not folder.is_dir() or {p.name for p in folder.iterdir()} - {MARKER_FILE, LOCK_FILE}):
        raise RunExistsError(f"{folder} is taken by something that is not a study", fix="choose another --name")
    mark_own(folder)
    write_json(mark, json.loads(json.dumps(identity, default=str)))


def _base_model(recipe: StudyRecipe, folder: Path, runs_dir: Path, rebuild: bool, on_event: OnEvent) -> Path:
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


def _pretrain(out: Path, seed: int, on_event: OnEvent) -> None:
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


def _report(recipe: StudyRecipe, folder: Path, notes: tuple[str, ...]) -> Path:
    from lrmctl.reporting.build import ArmFolder, build_report

    arms = [ArmFolder(BASE, "Base", False, folder / BASE)]
    arms += [ArmFolder(a.name, a.label or a.name, a.control, folder / a.name) for a in recipe.arms]
    return build_report(arms, folder / "report.html", title=recipe.description or recipe.name, notes=notes)


def _failure_notes(failures: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(f"{arm} failed: {error.splitlines()[0]}" for arm, error in failures.items())
