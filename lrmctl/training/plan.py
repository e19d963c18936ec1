"""The plan of a training run: everything that is decided before anything starts.

`plan_training` decides, `lrmctl train --dry-run` prints its result, and `lrmctl.training.run.execute` runs that same
object. Planning writes nothing. What only a real run can do (creating the folder, sampling rows, preparing the model,
starting the reward service) takes the plan and decides nothing.
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
from lrmctl.recipe.schema.recipes import OfflineRecipe, RlRecipe
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
    """How a run continues from the content of its folder.

    Attributes:
        resume: an existing run of this name is continued.
        restart: what happens to steps that are in no checkpoint.
        checkpoint: what training continues from; None to start at the beginning.
        attempt: number of this launch, from 1.
        done: the run is finished, so there is nothing to do.
    """

    resume: bool = False
    restart: resuming.Restart = "refuse"
    checkpoint: Checkpoint | None = None
    attempt: int = 1
    done: bool = False

    @property
    def step(self) -> int:
        """The step that training continues from; 0 for the beginning."""
        return self.checkpoint.step if self.checkpoint else 0


@dataclass(frozen=True)
class TrainingPlan:
    """Everything that is decided about a run before it starts.

    Attributes:
        resolved: the recipe, its model, tokenizer and backend, and what of these is missing. A plan with missing parts
            can be displayed but not executed.
        inputs: the data, as far as they are known before the run.
        job: the request to the backend.
        backend_plan: its plan (command line, environment, files, resources), with the launch settings and all notes.
        summary: layout, derived numbers and memory estimate.
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
        """What is not yet known or not on this machine, one sentence each."""
        sampled = [_SAMPLED] if self.inputs.rows is None and samples_first(self.resolved.recipe) else []
        return (*self.resolved.missing, *sampled)

    @property
    def preview(self) -> str:
        """What the launcher would submit; empty if it only runs the command line."""
        from lrmctl.backends.launch.job import LaunchJob
        from lrmctl.backends.launch.launchers import launcher

        log = RunFolder(self.run_dir).logs / f"attempt-{self.continuation.attempt}" / "output.log"
        return launcher(self.backend_plan.launch).preview(LaunchJob.of(self.backend_plan, self.run_dir, log))

    def provenance(self) -> dict[str, Any]:
        """What was launched, for the lock file; files as sha256."""
        checkpoint, plan = self.continuation.checkpoint, self.backend_plan
        return {
            "argv": list(plan.argv),
            "env": dict(plan.env),
            "files": {name: hashlib.sha256(text.encode()).hexdigest() for name, text in plan.files.items()},
            "resumed_from": str(checkpoint.path) if checkpoint else None,
        }

    def to_json(self) -> dict[str, Any]:
        """JSON form, with only the size in bytes of files and the names of secrets."""
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
    render: bool = True,
) -> TrainingPlan:
    """Decide everything about one training run.

    Args:
        runs_dir: the run folder is `runs_dir/name`.
        name: of the run; the recipe's by default.
        model: replaces the recipe's.
        resume: continue the run of this name.
        restart: with `resume`: whether a run without a checkpoint may restart, or any run must.
        allow_missing: plan without a model, data or GPUs that are not on this machine, and download nothing. Otherwise
            models and data are downloaded, and anything unavailable is an error.
        render: render every row; otherwise rows are only counted, also those that turn out too long, which is faster
            and enough for numbers, but not to execute the plan.

    Raises:
        LrmctlError: a problem with the recipe, model, data, name, or the run to resume.
    """
    resolved = resolve(loaded, Path(runs_dir), model, allow_missing=allow_missing)
    folder = RunFolder(Path(runs_dir) / check_name(resolved.recipe.name if name is None else name, "--name"))
    continuation = _continuation(resolved, folder, resume, restart)
    known = resolved.has_data
    model_and_tokenizer = (resolved.model, resolved.tokenizer) if render else (None, None)
    inputs = inputs_of(resolved.recipe, *model_and_tokenizer) if known else TrainingInputs()
    plan = _planned(resolved, inputs, _job(resolved, inputs, folder, continuation), continuation)
    if not is_held(folder.path):  # otherwise starting the run will be refused
        check_continuation(plan)
    return plan


def check_continuation(plan: TrainingPlan) -> None:
    """Refuse to continue a run whose job still runs, that would lose steps, or whose inputs have changed.

    Raises:
        LrmctlError: one of these is the case.
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
    """Plan again with the rows sampled from the model, which determine files, notes and numbers of steps."""
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
    """Training and evaluation rows; if not known yet, as many placeholders as expected."""
    if inputs.rows is not None:
        return inputs.rows.rows, inputs.rows.eval_rows
    least = recipe.train.batch_size if isinstance(recipe, OfflineRecipe) else recipe.algorithm.prompts_per_step
    columns = {"sft": ("response",), "preference": ("chosen", "rejected"), "rl": ("label",)}[recipe.kind]
    row = dict.fromkeys(("prompt", *columns), "")
    evaluates = bool(recipe.data.eval_rows if isinstance(recipe, OfflineRecipe) else recipe.evaluation)
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
