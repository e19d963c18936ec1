"""A study: bases x arms x training seeds x one evaluation x one analysis -> one report.

After an interruption the same command resumes. This package only decides order and identity; training, evaluation,
analysis and reporting are in other packages.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lrmctl.errors import BackendError, RecipeError, RunExistsError
from lrmctl.runs.damage import read_object
from lrmctl.runs.holding import LOCK_FILE, hold
from lrmctl.runs.marks import MARKER_FILE
from lrmctl.runs.marks import mark as mark_own
from lrmctl.runs.names import check_name
from lrmctl.runs.study_cells import STUDY_FILE, write_cells, write_holes
from lrmctl.studies.arms import run_stage
from lrmctl.studies.cells import cells_of
from lrmctl.studies.cluster import check_cluster, stage_jobs
from lrmctl.studies.executors import StageExecutor, local_executor
from lrmctl.studies.graph import run_graph
from lrmctl.studies.stages import BaseCells, OnEvent, stages_of

if TYPE_CHECKING:
    from lrmctl.recipe.load import LoadedRecipe
    from lrmctl.recipe.schema.recipes import StudyRecipe
    from lrmctl.studies.stages import StudyTask

_ANYWHERE = {"launch", "trackers", "requires"}
"""Keys that say where a study runs, who is told or what it needs, and not what it is: it may go on elsewhere."""


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
        runs_dir: the study's folder is `runs_dir/name`; it holds one run folder per cell (`lrmctl.runs.study_cells`).
        rebuild_base: pretrain the lab's base model instead of using the shipped one.
        on_event: called at every start, progress and end of a stage.

    Raises:
        RunExistsError: the folder holds a different study, or something else.
        BackendError: at least one cell failed; the report was written without it.
    """
    recipe: StudyRecipe = loaded.recipe  # type: ignore[assignment]  # the CLI sends only studies here
    folder = (runs_dir / check_name(recipe.name if name is None else name, "--name")).absolute()
    if rebuild_base and len(recipe.every_base) > 1:
        raise RecipeError(
            "only a study of one base can rebuild it", "--rebuild-base", "say `base:` in place of `bases:`"
        )
    _claim(folder, loaded, rebuild_base)
    with hold(folder, "running the study"):
        return _run_all(loaded, folder, runs_dir, rebuild_base, on_event)


def _run_all(loaded: LoadedRecipe, folder: Path, runs_dir: Path, rebuild_base: bool, on_event: OnEvent) -> Path:
    from lrmctl.reporting.study import report_study

    recipe: StudyRecipe = loaded.recipe  # type: ignore[assignment]  # as above
    check_cluster(recipe)
    tasks = stages_of(_bases(loaded, folder, runs_dir, rebuild_base, on_event), folder)
    write_holes(folder, {})
    executor = _executor(loaded, tasks, folder)
    failures = run_graph(tasks, executor, on_event, on_failure=lambda holes: write_holes(folder, holes))
    report = report_study(folder)
    if failures:
        cell, error = next(iter(failures.items()))
        raise BackendError(
            f"{len(failures)} of {len(cells_of(recipe))} arms failed; the first, {cell}: {error}",
            where=str(folder),
            fix=f"the same command goes on; the report without them is {report}",
        )
    return report


def _executor(loaded: LoadedRecipe, tasks: Mapping[str, StudyTask], folder: Path) -> StageExecutor:
    """This machine, or the cluster of `launch:`."""
    recipe: StudyRecipe = loaded.recipe  # type: ignore[assignment]  # as above
    if recipe.launch.via == "local":
        return local_executor(tasks, run_stage, recipe.jobs)
    from lrmctl.studies.cluster.executor import ClusterExecutor

    jobs = stage_jobs(recipe.launch)
    most = recipe.jobs if loaded.is_set("jobs") or not (jobs.keeps_order or jobs.gpus()) else None
    return ClusterExecutor(jobs, folder, run_stage, tasks, most)


def _run_name(folder: Path) -> str:
    """The study's folder as `run:NAME` names it; its own name where its runs are not in the folder of runs."""
    from lrmctl.runs.names import runs_folder

    here = runs_folder().absolute()
    return folder.relative_to(here).as_posix() if folder.is_relative_to(here) else folder.name


def _claim(folder: Path, loaded: LoadedRecipe, rebuild_base: bool) -> None:
    """Create the study's folder, or check that it belongs to this study."""
    recipe: StudyRecipe = loaded.recipe  # type: ignore[assignment]  # as above
    resolved = {key: value for key, value in loaded.resolved.items() if key not in _ANYWHERE}
    identity = json.loads(json.dumps({"recipe": resolved, "rebuild_base": rebuild_base}, default=str))
    mark = folder / STUDY_FILE
    if mark.exists():
        if not _same(read_object(mark), identity):
            raise RunExistsError(
                f"{folder} holds another study (its recipe differs)",
                where=str(mark),
                fix="give this one a name of its own with --name, or remove that folder",
            )
    elif folder.exists() and (not folder.is_dir() or {p.name for p in folder.iterdir()} - {MARKER_FILE, LOCK_FILE}):
        raise RunExistsError(f"{folder} is taken by something that is not a study", fix="choose another --name")
    else:
        mark_own(folder)
    write_cells(folder, identity, cells_of(recipe))


def _same(known: Mapping[str, Any], identity: Mapping[str, Any]) -> bool:
    """Whether a folder is this study's; keys that an older version did not know count as their defaults."""
    from pydantic import ValidationError

    from lrmctl.recipe.schema.recipes import StudyRecipe

    recipe = known.get("recipe")
    if recipe != identity["recipe"]:
        try:
            whole = StudyRecipe.model_validate(recipe).model_dump(mode="json", exclude=_ANYWHERE)
        except ValidationError:
            return False
        recipe = json.loads(json.dumps(whole, default=str))
    return bool(recipe == identity["recipe"] and known.get("rebuild_base") == identity["rebuild_base"])


def _bases(
    loaded: LoadedRecipe, folder: Path, runs_dir: Path, rebuild_base: bool, on_event: OnEvent
) -> list[BaseCells]:
    """Every base with its model, which is downloaded if needed, and the recipes of its arms."""
    from lrmctl.models import resolve_model
    from lrmctl.preflight.arms import ArmRecipes, study_on
    from lrmctl.studies.pretrain import pretrain_bases

    recipe: StudyRecipe = loaded.recipe  # type: ignore[assignment]  # as above
    recipes = ArmRecipes(loaded, _run_name(folder))
    pretrained = pretrain_bases(recipe, folder, rebuild_base, on_event)
    found = []
    for base in recipe.every_base:
        model = pretrained.get(base.folder) or resolve_model(base.model, runs_dir)
        of_seeds = {seed: recipes.of(base, seed) for seed in recipe.training_seeds}
        found.append(BaseCells(base.folder, model, study_on(loaded, base), of_seeds))
    return found
