"""One plan of a training run: everything that is decided before anything is started.

`plan_training` decides, `lrmctl train --dry-run` prints what it returns, and `lrmctl.training.run.execute` runs that
same object. Planning writes nothing. What only a real run can do (making the folder, sampling rows, preparing the
model, starting the reward service) are steps that take the plan and decide nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lrmctl.backends.base import REWARD_URL, Checkpoint, TrainJob
from lrmctl.recipe.function_ref import fingerprints
from lrmctl.recipe.problems import located
from lrmctl.recipe.schema.recipes import RlRecipe, SftRecipe
from lrmctl.runs.folder import RunFolder
from lrmctl.runs.holding import is_held
from lrmctl.runs.names import check_name
from lrmctl.training import resume as resuming
from lrmctl.training.inputs import Recipe, TrainingInputs, inputs_of, samples_first
from lrmctl.training.resolve import ResolvedRecipe, resolve
from lrmctl.training.summary import summarize
from lrmctl.types import Plan

if TYPE_CHECKING:
    from lrmctl.backends.rows import TrainingRows
    from lrmctl.planning import PlanSummary
    from lrmctl.recipe.load import LoadedRecipe

_SAMPLED = "the rows are sampled from the model first"


@dataclass(frozen=True)
class Continuation:
    """How a run goes on from what is already in its folder.

    Attributes:
        resume: the folder may hold a run of this name, which is continued.
        restart: what becomes of steps that no checkpoint holds.
        checkpoint: what training continues from; None if it starts at the beginning.
        attempt: number of this launch, from 1.
        done: the run is finished, so that there is nothing to do.
    """

    resume: bool = False
    restart: resuming.Restart = "refuse"
    checkpoint: Checkpoint | None = None
    attempt: int = 1
    done: bool = False

    @property
    def step(self) -> int:
        """The step that training continues from, 0 for the beginning."""
        return self.checkpoint.step if self.checkpoint else 0


@dataclass(frozen=True)
class TrainingPlan:
    """Everything that is decided of a run before it starts.

    Attributes:
        resolved: the recipe, its model, tokenizer and backend, and what of these is missing. A plan of which something
            is missing can be read but not executed.
        inputs: the data, as far as it is known before the run.
        job: what the backend was asked to plan.
        backend_plan: its answer (command line, environment, files, resources), with where it is launched and all notes.
        summary: layout, derived numbers and what the memory estimate says.
        continuation: what it continues from.
    """

    resolved: ResolvedRecipe
    inputs: TrainingInputs
    job: TrainJob
    backend_plan: Plan
    summary: PlanSummary
    continuation: Continuation

    @property
    def run_dir(self) -> Path:
        return self.job.run_dir

    @property
    def name(self) -> str:
        return self.run_dir.name

    @property
    def missing(self) -> tuple[str, ...]:
        """What is not known or not on this machine yet, one sentence each."""
        sampled = [_SAMPLED] if self.inputs.rows is None and samples_first(self.resolved.recipe) else []
        return (*self.resolved.missing, *sampled)

    @property
    def preview(self) -> str:
        """What the launcher would submit; empty if it only runs the command line."""
        from lrmctl.backends.launch.base import LaunchJob
        from lrmctl.backends.launch.launchers import launcher

        log = RunFolder(self.run_dir).logs / f"attempt-{self.continuation.attempt}" / "output.log"
        return launcher(self.backend_plan.launch).preview(LaunchJob.of(self.backend_plan, self.run_dir, log))

    def provenance(self) -> dict[str, Any]:
        """What was launched, for the lock file: files by their sha256."""
        checkpoint, plan = self.continuation.checkpoint, self.backend_plan
        return {
            "argv": list(plan.argv),
            "env": dict(plan.env),
            "files": {name: hashlib.sha256(text.encode()).hexdigest() for name, text in plan.files.items()},
            "resumed_from": str(checkpoint.path) if checkpoint else None,
        }

    def to_json(self) -> dict[str, Any]:
        """JSON form; of files the size in bytes, of secrets the names."""
        checkpoint = self.continuation.checkpoint
        return {
            **self.backend_plan.to_json(),
            "name": self.name,
            "run_dir": str(self.run_dir),
            "files": {name: len(text.encode()) for name, text in self.backend_plan.files.items()},
            "resumed_from": str(checkpoint.path) if checkpoint else None,
            **self.summary.to_json(),
            "missing": list(self.missing),
        }


def plan_training(
    loaded: LoadedRecipe,
    *,
    runs_dir: Path,
    name: str | None = None,
    model: str | None = None,
    resume: bool = False,
    restart: resuming.Restart = "refuse",
    allow_missing: bool = False,
) -> TrainingPlan:
    """Decide everything about one training run.

    Args:
        runs_dir: the run folder is `runs_dir/name`.
        name: of the run; the recipe's by default.
        model: in place of the recipe's.
        resume: continue the run of this name.
        restart: with `resume`: whether a run without a checkpoint may start again, or any run has to.
        allow_missing: plan around a model, data or GPUs that are not on this machine, and download nothing. Otherwise
            models and data are downloaded, and what cannot be had is an error.

    Raises:
        LrmctlError: whatever is wrong with recipe, model, data, name, or the run that is to be resumed.
    """
    resolved = resolve(loaded, Path(runs_dir), model, allow_missing=allow_missing)
    folder = RunFolder(Path(runs_dir) / check_name(resolved.recipe.name if name is None else name, "--name"))
    continuation = _continuation(resolved, folder, resume, restart)
    known = resolved.has_data
    inputs = inputs_of(resolved.recipe, resolved.model, resolved.tokenizer) if known else TrainingInputs()
    plan = _planned(resolved, inputs, _job(resolved, inputs, folder, continuation), continuation)
    if not is_held(folder.path):  # a run that another process trains is refused when this one starts
        check_continuation(plan)
    return plan


def check_continuation(plan: TrainingPlan) -> None:
    """Refuse to continue a run whose job still runs, that would lose steps, or whose inputs have changed.

    Raises:
        LrmctlError: which of these it is.
    """
    folder, how, resolved = RunFolder(plan.run_dir), plan.continuation, plan.resolved
    if not how.resume or how.done:
        return
    resuming.refuse_running_job(folder)
    resuming.check_steps(folder, how.checkpoint, resolved.recipe.save_every, how.restart)
    if how.checkpoint is not None:
        data = plan.inputs.rows.sha256 if plan.inputs.rows else None
        resuming.check_same_inputs(folder, data, fingerprints(resolved.loaded.resolved))


def with_sampled_rows(plan: TrainingPlan, rows: TrainingRows) -> TrainingPlan:
    """The plan with the rows that were sampled from the model: files, notes and numbers of steps follow from them."""
    job = replace(plan.job, rows=rows.rows, eval_rows=rows.eval_rows)
    return _planned(plan.resolved, TrainingInputs.of(rows), job, plan.continuation)


def _continuation(resolved: ResolvedRecipe, folder: RunFolder, resume: bool, restart: resuming.Restart) -> Continuation:
    attempt = len(folder.attempts()) + 1
    if not resume:
        return Continuation(attempt=attempt)
    done = resuming.is_done(folder, resolved.loaded, resolved.model)
    checkpoint = resolved.backend.checkpoint(folder.path) if restart != "always" else None
    return Continuation(True, restart, checkpoint, attempt, done)


def _job(resolved: ResolvedRecipe, inputs: TrainingInputs, folder: RunFolder, continuation: Continuation) -> TrainJob:
    from lrmctl.models import needs_preparation

    recipe, model = resolved.recipe, resolved.model or Path(resolved.recipe.model)
    prepared = resolved.tokenizer is not None and needs_preparation(model, resolved.tokenizer)
    rows, eval_rows = _rows(recipe, inputs)
    return TrainJob(
        recipe,
        folder.path / "start" if prepared else model,
        folder.path,
        rows,
        REWARD_URL if isinstance(recipe, RlRecipe) else "",
        continuation.step > 0,
        eval_rows,
        resolved.here,
        model if prepared else None,
    )


def _rows(recipe: Recipe, inputs: TrainingInputs) -> tuple[Sequence[Mapping[str, str]], Sequence[Mapping[str, str]]]:
    """Rows to train and to evaluate on; in place of those that are not known yet, as many as are expected."""
    if inputs.rows is not None:
        return inputs.rows.rows, inputs.rows.eval_rows
    least = recipe.train.batch_size if isinstance(recipe, SftRecipe) else recipe.algorithm.prompts_per_step
    row = {"prompt": "", "response" if isinstance(recipe, SftRecipe) else "label": ""}
    evaluates = bool(recipe.data.eval_rows if isinstance(recipe, SftRecipe) else recipe.evaluation)
    return (row,) * max(least, len(inputs.prompts or ())), (row,) * evaluates


def _planned(
    resolved: ResolvedRecipe, inputs: TrainingInputs, job: TrainJob, continuation: Continuation
) -> TrainingPlan:
    with located(resolved.loaded):
        plan = resolved.backend.plan(job)
    summary, notes = summarize(resolved, inputs, plan)
    plan = replace(
        plan,
        launch=resolved.recipe.launch.model_dump(mode="json"),
        files=plan.files if inputs.rows is not None else {},
        notes=(*plan.notes, *inputs.notes, *notes),
    )
    return TrainingPlan(resolved, inputs, job, plan, summary, continuation)
