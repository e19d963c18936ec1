"""Executes a training plan in a run folder, which then holds the finished model.

`lrmctl.training.plan` decides everything and finds all problems with the recipe, model and data before the folder is
created. The backend trains; the reward service computes rewards.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from lrmctl import console
from lrmctl._util.disk import FULL
from lrmctl.backends.base import Progress, with_reward_url
from lrmctl.backends.launch.launchers import launcher
from lrmctl.errors import BackendError, DiskFullError, LrmctlError, NotFoundError, RecipeError
from lrmctl.recipe.schema.recipes import RlRecipe, SftRecipe
from lrmctl.runs.folder import RunFolder
from lrmctl.runs.tracking import StepEvents, TrackerUse, run_events
from lrmctl.training import resume as resuming
from lrmctl.training.behaviour import needs_behaviour, with_behaviour
from lrmctl.training.extend import set_model_aside
from lrmctl.training.inputs import OnSampling, sampled_rows, samples_first
from lrmctl.training.plan import TrainingPlan, check_continuation, plan_training, with_sampled_rows
from lrmctl.training.record import write_record
from lrmctl.training.reward_service import reward_service

if TYPE_CHECKING:
    from lrmctl.recipe.load import LoadedRecipe

OnProgress = Callable[[Progress], None]


def train(
    loaded: LoadedRecipe,
    *,
    runs_dir: Path,
    name: str | None = None,
    model: str | None = None,
    resume: bool = False,
    restart: resuming.Restart = "refuse",
    on_progress: OnProgress | None = None,
    on_sampling: OnSampling | None = None,
) -> RunFolder:
    """Train a model from a recipe: plan the run, then execute the plan.

    Args:
        name: of the run; the recipe's by default.
        model: replaces the recipe's.
        resume: continue the run of this name; a finished one is unchanged.
        restart: with `resume`: whether a run without a checkpoint may restart, or any run must.
        on_sampling: called as (completions done, total) while rejection sampling draws the rows.

    Raises:
        LrmctlError: a problem with the recipe, model, data or name; nothing was started.
        RewardError: the reward failed.
        BackendError: the trainer failed; gives the root cause.
        DiskFullError: lrmctl itself could not write.
    """
    plan = plan_training(loaded, runs_dir=runs_dir, name=name, model=model, resume=resume, restart=restart)
    return execute(plan, on_progress, on_sampling)


def execute(
    plan: TrainingPlan, on_progress: OnProgress | None = None, on_sampling: OnSampling | None = None
) -> RunFolder:
    """Run a plan; returns the run folder with the finished model.

    Raises:
        LrmctlError: the plan cannot be executed here or now; nothing was started.
        RewardError: the reward failed.
        BackendError: the trainer failed; gives the root cause, which may be a full disk.
    """
    if plan.continuation.done:
        console.say(f"{plan.name} is done: nothing to do")
        return _close(RunFolder(plan.run_dir))
    _check_executable(plan)
    runs_dir = plan.run_dir.parent
    with _disk_errors(runs_dir):
        folder = RunFolder.create(runs_dir, plan.name, resume=plan.continuation.resume)
        with folder.hold():
            if plan.continuation.resume:
                _make_room(plan, folder)
            return _run(plan, folder, on_progress or (lambda _: None), on_sampling)


def _check_executable(plan: TrainingPlan) -> None:
    """Check that everything the plan needs is on this machine, before the folder is created."""
    if plan.resolved.missing:
        raise NotFoundError(plan.resolved.missing[0], fix="`lrmctl train` without --dry-run downloads what it can")
    if plan.backend_plan.launch.get("via") == "local" and not plan.resolved.here:
        what = "the GPUs that the recipe asks for are not on this machine"
        raise RecipeError(what, "layout", "run it where they are, e.g. with --launch slurm or --launch ray")
    launcher(plan.backend_plan.launch).check()
    plan.resolved.backend.ready()


def _make_room(plan: TrainingPlan, folder: RunFolder) -> None:
    """Move aside what a resumed run will create again, while holding the folder."""
    check_continuation(plan)
    if plan.continuation.checkpoint is not None:
        from lrmctl.recipe.lock import plugin_versions

        for sentence in resuming.changed_plugins(folder, plugin_versions(plan.resolved.loaded)):
            console.warn(sentence)
    if plan.continuation.restart != "always":
        now = plan.resolved.backend.checkpoint(folder.path)
        resuming.check_unchanged(folder, plan.continuation.checkpoint, now)
    elif aside := resuming.set_all_aside(folder):
        console.say(f"the old checkpoints are in {aside}")
    if aside := set_model_aside(folder, resuming.steps_done(folder)):
        console.say(f"the run goes on; its model so far is kept in {aside}")


def _run(plan: TrainingPlan, folder: RunFolder, on_progress: OnProgress, on_sampling: OnSampling | None) -> RunFolder:
    write_record(plan)
    folder.set_status("running")
    try:
        with _disk_errors(folder.path):
            _launch(_with_behaviour(_with_samples(plan, on_sampling)), folder, on_progress)
    except LrmctlError as error:
        with suppress(OSError):  # on a full disk this fails too; the run then counts as interrupted
            folder.set_status("failed", error=error.what)
        raise
    return _close(folder)


def _with_samples(plan: TrainingPlan, on_sampling: OnSampling | None) -> TrainingPlan:
    """The plan with its rows, after rejection sampling if the recipe asks for it."""
    resolved, recipe = plan.resolved, plan.resolved.recipe
    if plan.inputs.rows is not None or not samples_first(recipe):
        return plan
    assert isinstance(recipe, SftRecipe)
    assert resolved.model is not None
    rows = sampled_rows(recipe, resolved.model, resolved.tokenizer, plan.run_dir, on_sampling)
    plan = with_sampled_rows(plan, rows)
    write_record(plan)
    return plan


def _with_behaviour(plan: TrainingPlan) -> TrainingPlan:
    """The plan with log-probabilities of the policy that wrote the rows, if the recipe asks for them."""
    resolved, rows = plan.resolved, plan.inputs.rows
    if rows is None or not needs_behaviour(resolved.recipe, rows):
        return plan
    assert isinstance(resolved.recipe, SftRecipe)
    weighted = with_behaviour(resolved.recipe, rows, resolved.tokenizer)
    return with_sampled_rows(plan, weighted)


def _close(folder: RunFolder) -> RunFolder:
    if folder.status().get("state") != "done":
        folder.set_status("done", model=str(folder.model))
    return folder


def _launch(plan: TrainingPlan, folder: RunFolder, on_progress: OnProgress) -> None:
    resolved, resumed = plan.resolved, plan.continuation
    if resumed.resume and resumed.attempt > 1:
        for sentence in resuming.describe_resume(folder, resumed.checkpoint):
            console.say(sentence)
    _prepare_model(plan)
    with reward_service(plan) as service:
        steps = plan.backend_plan.estimates.get("steps")
        folder.set_status("running", attempt=resumed.attempt, resumed_from=resumed.step, steps=steps, exit_code=None)
        for note in plan.backend_plan.notes:
            console.say(f"note: {note}")
        trackers = [TrackerUse(one.use, one.options) for one in resolved.recipe.trackers]
        launched = with_reward_url(plan.backend_plan, service.url) if service else plan.backend_plan
        failure = service.failure if service else (lambda: None)
        try:
            with (
                run_events(folder, trackers, resolved.loaded.resolved, console.say) as events,
                _watched(plan, folder, on_progress) as watching,
            ):
                progress = StepEvents(events, folder.rollouts, watching)
                resolved.backend.launch(launched, folder.path, progress, failure)
        except BackendError:
            if error := failure():  # the trainer may have failed because of a failed reward
                raise error from None
            raise


def _prepare_model(plan: TrainingPlan) -> None:
    """Create a prepared copy of the model if the trainer cannot load the original."""
    from lrmctl.models import prepare

    if plan.job.made_from is not None:
        prepare(plan.job.made_from, plan.job.model_path, plan.resolved.tokenizer)


def _watched(plan: TrainingPlan, folder: RunFolder, on_progress: OnProgress) -> AbstractContextManager[OnProgress]:
    """Progress that also checks for reward hacking after each step of an RL run."""
    if not isinstance(plan.resolved.recipe, RlRecipe):
        return nullcontext(on_progress)
    from lrmctl.monitors.live import watched

    return watched(folder.path, on_progress, console.say)


@contextmanager
def _disk_errors(where: Path) -> Iterator[None]:
    """Convert disk-full errors to `DiskFullError`."""
    try:
        yield
    except OSError as error:
        if error.errno not in FULL:
            raise
        raise DiskFullError("the disk is full", str(error.filename or where), "free some space") from error
