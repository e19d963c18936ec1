"""Resumes runs: reports what is restored and what is lost, and loses no step unless the user asks for it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from lrmctl import console
from lrmctl.backends.base import Checkpoint, make_backend
from lrmctl.errors import LrmctlError, RunExistsError
from lrmctl.recipe.schema.recipes import AnyRecipe, OfflineRecipe, RlRecipe
from lrmctl.runs.damage import part_of, read_object
from lrmctl.runs.folder import RunFolder
from lrmctl.runs.jsonl import read_jsonl
from lrmctl.training.extend import check_longer

if TYPE_CHECKING:
    from lrmctl.recipe.load import LoadedRecipe

Restart = Literal["refuse", "allow", "always"]
"""A run without a checkpoint is refused, or restarted; or any run is restarted, even with a checkpoint."""


def is_done(folder: RunFolder, loaded: LoadedRecipe, model: Path | None) -> bool:
    """Whether a run of this recipe is finished; False if the recipe now has more steps.

    Args:
        model: folder of the recipe's model; None, if it is not on this machine, skips the comparison.

    Raises:
        RunExistsError: the folder's run was started from another recipe or model.
    """
    from lrmctl.models import fingerprint
    from lrmctl.recipe.lock import recipe_hash

    if not folder.lock.exists():
        return False
    with part_of(folder.lock):
        lock = read_object(folder.lock)
        recipe, trained = lock.get("recipe_sha256"), lock.get("model", {}).get("fingerprint")
    if model is not None and trained != fingerprint(model):
        raise RunExistsError(
            f"the run {folder.name!r} was started from another model",
            str(folder.lock),
            f"go on with {folder.recipe}, or choose another --name",
        )
    if recipe != recipe_hash(loaded):
        with part_of(folder.lock):
            before = lock["recipe"]
        check_longer(folder, before, loaded.resolved)
        return False
    return folder.model.exists()  # it is renamed to this when complete


def steps_done(folder: RunFolder) -> int:
    """The last finished step of a run, in a checkpoint or not."""
    return max((int(row["step"]) for row in read_jsonl(folder.metrics)), default=0)


def check_steps(folder: RunFolder, last: Checkpoint | None, save_every: int | None, restart: Restart) -> None:
    """Refuse to lose steps without the user's request.

    Raises:
        LrmctlError: the run has finished steps, none is in a checkpoint, and `restart` is `refuse`.
    """
    done = steps_done(folder)
    if last is not None or not done or restart != "refuse":
        return
    why = "save_every is not set, so none is ever kept" if save_every is None else f"save_every is {save_every}"
    raise LrmctlError(
        f"the run {folder.name!r} has no checkpoint to go on from: its {done} steps are lost ({why})",
        str(folder.path),
        "start again on purpose with --resume --from-start, or choose another --name",
    )


def must_start_again(run_dir: Path, recipe: AnyRecipe) -> bool:
    """Whether a run has finished steps but no checkpoint."""

    folder = RunFolder(run_dir)
    if not isinstance(recipe, (OfflineRecipe, RlRecipe)) or not steps_done(folder):
        return False
    return make_backend(recipe.backend.name).checkpoint(folder.path) is None


def set_all_aside(folder: RunFolder) -> Path | None:
    """Move the checkpoints of a restarted run aside; returns their new folder, or None if there were none."""
    if not folder.checkpoints.exists():
        return None
    free = next(p for n in range(1, 10_000) if not (p := folder.path / "checkpoints.old" / f"all.{n}").exists())
    free.parent.mkdir(exist_ok=True)
    folder.checkpoints.rename(free)
    return free


def describe_resume(folder: RunFolder, last: Checkpoint | None) -> list[str]:
    """What a resumed run restores, keeps and discards, one sentence each."""
    steps = [int(row["step"]) for row in read_jsonl(folder.metrics)]
    start = last.step if last else 0
    kept = sum(step <= start for step in steps)
    skipped = last.passed_over if last else ()
    sentences = [f"passed over a checkpoint that cannot be loaded ({reason})" for reason in skipped]
    if last:
        age = console.duration(max(0.0, time.time() - last.saved))
        sentences.append(f"going on from step {last.step}: {last.path}, saved {age} ago")
    else:
        sentences.append("starting from the beginning" + (f"; {max(steps)} steps are done again" if steps else ""))
    if steps:
        sentences.append(f"metrics: {kept} rows kept, {len(steps) - kept} dropped, whose steps are done again")
    if rollouts := sum(1 for _ in read_jsonl(folder.rollouts)):
        sentences.append(f"rollouts: all {rollouts} kept; `attempt` tells those that are sampled again apart")
    return sentences


def check_unchanged(folder: RunFolder, planned: Checkpoint | None, now: Checkpoint | None) -> None:
    """Check that a run's checkpoint is still the one that was planned.

    Raises:
        RunExistsError: another process has trained in the folder since.
    """
    if (planned and (planned.step, planned.path)) != (now and (now.step, now.path)):
        raise RunExistsError(
            f"the checkpoints of the run {folder.name!r} have changed since it was planned",
            str(folder.checkpoints),
            "give the same command again",
        )


def refuse_running_job(folder: RunFolder) -> None:
    """Refuse to start while a cluster job of the run, which may outlive lrmctl, is still running.

    Raises:
        RunExistsError: the job is still running, or nobody can tell; names the command that ends it.
    """
    from lrmctl.backends.launch.launchers import launcher

    job: dict[str, Any] = folder.status().get("job") or {}
    if not job:
        return
    known = f"{job['via']} job {job['id']} of the run {folder.name!r}"
    try:
        started_by = launcher(job)
        running, stop = started_by.is_running(job), started_by.stop_command(job)
    except Exception as error:  # a plugin may raise anything
        if isinstance(error, LrmctlError) and "plugin" not in job:
            raise
        package = str(job["plugin"]).partition(" ")[0] if "plugin" in job else f"the launcher {job['via']!r}"
        raise RunExistsError(
            f"whether the {known} is still running cannot be told: {error}",
            str(folder.status_file),
            f"install {package} again, or if the job is over, remove `job` from this file",
        ) from error
    if running:
        end = f"end it with `{stop}`" if stop else "end it"
        raise RunExistsError(f"{known} is still running", str(folder.status_file), f"{end}, then --resume")


def check_same_inputs(folder: RunFolder, data: str | None, functions: Mapping[str, str]) -> None:
    """Check that a run's data and reward functions have not changed since it was started.

    Args:
        data: sha256 of the rows; None if they are sampled first.
        functions: sha256 by file.

    Raises:
        RunExistsError: one of them differs; names it.
    """
    if not folder.lock.exists():
        return
    with part_of(folder.lock):
        lock = read_object(folder.lock)
        was = dict(lock.get("functions", {}))
        changed = [f"the function file {file}" for file in sorted(was) if functions.get(file) != was[file]]
        if data is not None and lock.get("data", {}).get("sha256") not in (None, data):
            changed.insert(0, "the data")
    if changed:
        raise RunExistsError(
            f"{changed[0]} of the run {folder.name!r} is not what it was when the run started",
            str(folder.lock),
            "bring the old one back, start again with --resume --from-start, or choose another --name",
        )


def changed_plugins(folder: RunFolder, now: Mapping[str, str]) -> list[str]:
    """Plugins of which another version is installed than when the run was last launched, one sentence each.

    Args:
        now: distribution -> version, of what the recipe uses.
    """
    if not folder.lock.exists():
        return []
    with part_of(folder.lock):
        was = dict(read_object(folder.lock).get("plugins") or {})
    return [
        f"the run {folder.name!r} used {name} {was[name]} so far, and {version} is installed now: "
        "its steps before and after may differ"
        for name, version in sorted(now.items())
        if was.get(name, version) != version
    ]
