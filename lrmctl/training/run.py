"""One training run: a recipe, a model and data become a plan, a launch and a run folder with the finished model.

Everything that can be wrong with a recipe, a model or the data is found before the folder is made. What a trainer does
is the backend's business, what a reward is the reward service's.
"""

from __future__ import annotations

import errno
import hashlib
import json
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import yaml

from lrmctl import console
from lrmctl.backends.base import Progress, TrainJob
from lrmctl.backends.launch.base import LaunchJob, launcher
from lrmctl.data.of_recipe import sources_of
from lrmctl.errors import BackendError, LrmctlError, RecipeError, RunExistsError
from lrmctl.preflight.trainable import trainable
from lrmctl.recipe.function_ref import fingerprints
from lrmctl.recipe.problems import located
from lrmctl.recipe.schema.recipes import RlRecipe, SftRecipe
from lrmctl.recipe.schema.sections import Launch
from lrmctl.runs.damage import part_of, read_object
from lrmctl.runs.folder import RunFolder, write_json
from lrmctl.runs.names import check_name
from lrmctl.runs.tracking import both, mirror
from lrmctl.runs.writing import write_text
from lrmctl.training import resume as resuming
from lrmctl.training.dry_run import sections
from lrmctl.training.extend import check_longer, set_model_aside
from lrmctl.training.inputs import ResolvedJob, rows_of, samples_first, tokenizer_of
from lrmctl.types import Plan

if TYPE_CHECKING:
    from lrmctl.backends.rows import TrainingRows
    from lrmctl.recipe.load import LoadedRecipe
    from lrmctl.rewards.service.server import RewardService

OnProgress = Callable[[Progress], None]
_NO_URL = "http://127.0.0.1:0/reward"


def train(
    loaded: LoadedRecipe,
    *,
    runs_dir: Path,
    name: str | None = None,
    model: str | None = None,
    resume: bool = False,
    dry_run: bool = False,
    restart: resuming.Restart = "refuse",
    on_progress: OnProgress | None = None,
) -> RunFolder:
    """Train a model from an SFT or RL recipe.

    Args:
        name: of the run; the recipe's by default.
        model: in place of the recipe's.
        resume: go on with the run of this name; one that is done is left as it is.
        restart: with `resume`: whether a run without a checkpoint may start again, or any run has to.
        dry_run: plan only; the folder returned is a temporary one that holds `plan.json`.

    Raises:
        LrmctlError: whatever was wrong with recipe, model, data or name, before anything was started.
        RewardError: the reward's own error.
        BackendError: the trainer's first root cause; also a full disk.
    """
    start = _resolve(loaded, Path(runs_dir), model)
    with located(start.loaded):
        _check_nodes(start.recipe)
    if dry_run:
        return _dry_run(start)
    name = check_name(start.recipe.name if name is None else name, "--name")
    if resume and _is_done(RunFolder(Path(runs_dir) / name), start):
        console.say(f"{name} is done: nothing to do")
        return _close(RunFolder(Path(runs_dir) / name))
    rows = None if samples_first(start.recipe) else rows_of(start)
    _plan(start, RunFolder(Path(runs_dir) / name), rows)
    launcher(start.recipe.launch.model_dump()).check()
    if ready := getattr(start.backend, "ready", None):  # optional: see `lrmctl.backends.base.Checks`
        ready()
    with _disk_errors(Path(runs_dir)):
        folder = RunFolder.create(Path(runs_dir), name, resume=resume)
        with folder.hold():
            if resume:
                _before_resume(start, folder, restart)
                _same_inputs(start, folder, rows)
                if aside := set_model_aside(folder, resuming.steps_done(folder)):
                    console.say(f"the run goes on; its model so far is kept in {aside}")
            return _run(start, folder, rows, resume, on_progress or (lambda _: None))


def plan_only(loaded: LoadedRecipe, *, runs_dir: Path, model: str | None = None) -> Plan:
    """The plan of a recipe as it would be launched now; makes no folder."""
    start = _resolve(loaded, Path(runs_dir), model)
    rows = None if samples_first(start.recipe) else rows_of(start)
    return _plan(start, RunFolder(Path(runs_dir) / start.recipe.name), rows)


def _resolve(loaded: LoadedRecipe, runs_dir: Path, model: str | None) -> ResolvedJob:
    from lrmctl.hooks import registry
    from lrmctl.models import resolve_model

    loaded, recipe = trainable(loaded, model, runs_dir)
    path = resolve_model(recipe.model, runs_dir, trust_remote_code=recipe.trust_remote_code)
    _check_critic(recipe, runs_dir)
    return ResolvedJob(loaded, recipe, registry.make("backend", recipe.backend.name), path, tokenizer_of(path))


def _check_critic(recipe: SftRecipe | RlRecipe, runs_dir: Path) -> None:
    """A critic's model is loaded by the trainer, which would run its code."""
    from lrmctl.models import resolve_model
    from lrmctl.models.code import SWITCH, files_with_code

    ref = recipe.algorithm.critic.model if isinstance(recipe, RlRecipe) else None
    if ref is None or recipe.trust_remote_code:
        return
    if files_with_code(resolve_model(ref, runs_dir, head="scalar")):
        raise RecipeError(f"the critic {ref!r} names Python code of its own", "algorithm.critic.model", SWITCH)


def _check_nodes(recipe: SftRecipe | RlRecipe) -> None:
    """Said before anything else of several nodes, such as that this machine has no GPU."""
    if recipe.launch.via == "local" and recipe.layout.nodes > 1:
        raise RecipeError(
            f"{recipe.layout.nodes} nodes are not one machine", "layout.nodes", "--launch slurm, or --launch ray"
        )


def _before_resume(start: ResolvedJob, folder: RunFolder, restart: resuming.Restart) -> None:
    resuming.refuse_running_job(folder)
    resuming.check(folder, start.backend.checkpoint(folder.path), start.recipe.save_every, restart)
    if restart == "always" and (aside := resuming.set_all_aside(folder)):
        console.say(f"the old checkpoints are in {aside}")


def _same_inputs(start: ResolvedJob, folder: RunFolder, rows: TrainingRows | None) -> None:
    """What a run with a checkpoint goes on with is what it was started with."""
    if start.backend.checkpoint(folder.path) is not None:
        resuming.same_inputs(folder, rows.sha256 if rows else None, fingerprints(start.loaded.resolved))


def _plan(
    start: ResolvedJob, folder: RunFolder, rows: TrainingRows | None, url: str = _NO_URL, resume: bool = False
) -> Plan:
    """The plan; without rows (they are sampled first) one of a single batch, which is checked in the same way."""
    recipe = start.recipe
    here, launch = recipe.launch.via == "local", recipe.launch.model_dump(mode="json")
    if rows is None:
        assert isinstance(recipe, SftRecipe)
        stand_in = ({"prompt": "", "response": ""},) * recipe.train.batch_size
        with located(start.loaded):
            plan = start.backend.plan(TrainJob(recipe, start.trained, folder.path, stand_in, here=here))
        return replace(plan, launch=launch, notes=(*plan.notes, "steps are known when the model has been sampled"))
    job = TrainJob(recipe, start.trained, folder.path, rows.rows, url, resume, rows.eval_rows, here)
    with located(start.loaded):
        plan = start.backend.plan(job)
    return replace(plan, launch=launch, notes=(*plan.notes, *rows.notes))


def _dry_run(start: ResolvedJob) -> RunFolder:
    folder = RunFolder(Path(tempfile.mkdtemp(prefix="lrmctl-plan-")) / start.recipe.name)
    plan = _plan(start, folder, None if samples_first(start.recipe) else rows_of(start))
    write_json(folder.plan, plan.to_json())
    for note in plan.notes:
        console.say(f"note: {note}")
    if shown := launcher(plan.launch).preview(
        LaunchJob.of(plan, folder.path, folder.logs / "attempt-1" / "output.log")
    ):
        console.say(shown)
    return folder


def _is_done(folder: RunFolder, start: ResolvedJob) -> bool:
    """Whether a run is finished; one that is to have more steps is not, and one of another recipe is not gone on with.

    Raises:
        RunExistsError: if the folder's run was started from another recipe or model.
    """
    from lrmctl.models import fingerprint
    from lrmctl.recipe.lock import recipe_hash

    if not folder.lock.exists():
        return False
    with part_of(folder.lock):
        lock = read_object(folder.lock)
        was = {"recipe": lock.get("recipe_sha256"), "model": lock.get("model", {}).get("fingerprint")}
    if was["model"] != fingerprint(start.model):
        raise RunExistsError(
            f"the run {folder.name!r} was started from another model",
            str(folder.lock),
            f"go on with {folder.recipe}, or choose another --name",
        )
    if was["recipe"] != recipe_hash(start.loaded):
        with part_of(folder.lock):
            before = lock["recipe"]
        check_longer(folder, before, start.loaded.resolved)
        return False
    return folder.model.exists()  # it gets this name when it is complete


def _run(
    start: ResolvedJob, folder: RunFolder, rows: TrainingRows | None, resume: bool, on_progress: OnProgress
) -> RunFolder:
    _write_lock(start, folder, rows)
    folder.set_status("running")
    try:
        with _disk_errors(folder.path):
            rows = rows or rows_of(start, folder)
            _launch(start, folder, rows, resume, on_progress)
    except LrmctlError as error:
        with suppress(OSError):  # a full disk takes no status either; the folder then says `interrupted`
            folder.set_status("failed", error=error.what)
        raise
    return _close(folder)


def _close(folder: RunFolder) -> RunFolder:
    if folder.status().get("state") != "done":
        folder.set_status("done", model=str(folder.model))
    return folder


def _launch(start: ResolvedJob, folder: RunFolder, rows: TrainingRows, resume: bool, on_progress: OnProgress) -> None:
    from lrmctl.models import prepare

    attempt = len(folder.attempts()) + 1
    last = start.backend.checkpoint(folder.path) if resume else None
    step = last.step if last else 0
    for sentence in resuming.describe(folder, last) if resume and attempt > 1 else ():
        console.say(sentence)
    start = replace(start, prepared=prepare(start.model, folder.path / "start", start.tokenizer))
    with _service(start, folder, attempt) as service:
        plan = _plan(start, folder, rows, service.url if service else _NO_URL, resume and step > 0)
        _write_plan(folder, {**plan.to_json(), **sections(start.recipe, start.model, rows, plan)}, service)
        _write_lock(start, folder, rows, plan)
        steps = plan.estimates.get("steps")
        folder.set_status("running", attempt=attempt, resumed_from=step, steps=steps, exit_code=None)
        for note in plan.notes:
            console.say(f"note: {note}")
        failure = service.failure if service else (lambda: None)
        try:
            with (
                mirror(folder, start.loaded.resolved, console.say) as log,
                _watched(start, folder, on_progress) as watching,
            ):
                start.backend.launch(plan, folder.path, both(log, watching), failure)
        except BackendError:
            if error := failure():  # the trainer may fall over a failed reward before anybody has asked for it
                raise error from None
            raise


def _write_plan(folder: RunFolder, plan: Mapping[str, Any], service: RewardService | None) -> None:
    """The plan without the token of the reward service, which a backend may have put into its command line."""
    text = json.dumps(plan, indent=2, ensure_ascii=False)
    write_text(folder.plan, (text.replace(service.token, "TOKEN") if service else text) + "\n")


def _service(start: ResolvedJob, folder: RunFolder, attempt: int) -> Any:
    """The reward service of an RL run, or nothing."""
    if not isinstance(start.recipe, RlRecipe):
        return nullcontext()
    from lrmctl.rewards.service.server import RewardService

    filtering = start.recipe.algorithm.dynamic_filtering
    host, reached_as = _reach(start.recipe.launch)
    service: RewardService = RewardService(
        start.recipe.reward,
        rollouts=folder.rollouts,
        end_tokens=end_tokens(start.model, start.tokenizer),
        attempt=attempt,
        score_of=filtering.of if filtering else "reward",
        host=host,
        reached_as=reached_as,
        samples=group_sizes(start.recipe),
        baseline=start.recipe.algorithm.baseline,
        tokenizer=start.model,
        step=start.recipe.algorithm.prompts_per_step * start.recipe.algorithm.samples_per_prompt,
        log=folder.logs / f"rewards-{attempt}.log",
    )
    return service


def _watched(start: ResolvedJob, folder: RunFolder, on_progress: OnProgress) -> AbstractContextManager[OnProgress]:
    """Progress that looks for reward hacking after each step of an RL run."""
    if not isinstance(start.recipe, RlRecipe):
        return nullcontext(on_progress)
    from lrmctl.monitors.live import watched

    return watched(folder.path, on_progress, console.say)


def group_sizes(recipe: RlRecipe) -> dict[str, int]:
    """Samples of one prompt that are scored together, by phase."""
    evaluated = recipe.evaluation.samples_per_prompt if recipe.evaluation else 0
    return {"train": recipe.algorithm.samples_per_prompt, "eval": evaluated}


def _reach(section: Launch) -> tuple[str, str]:
    """Where the reward service listens, and what other machines call it."""
    if section.via == "local":
        return "127.0.0.1", ""
    from lrmctl.rewards.service.sockets import own_address

    towards = urlsplit(section.address or "").hostname or ""
    return "0.0.0.0", section.reward_host or own_address(towards)


def end_tokens(model: Path, tokenizer: Any) -> list[str]:
    """Text of every token that ends a completion (see `lrmctl.models.end_of_text`)."""
    from lrmctl.models import end_of_text

    return list(end_of_text(tokenizer, model).all)


def _write_lock(start: ResolvedJob, folder: RunFolder, rows: TrainingRows | None, plan: Plan | None = None) -> None:
    from lrmctl.data.sources import provenance
    from lrmctl.models import model_facts
    from lrmctl.recipe.lock import write_lock

    text = yaml.safe_dump(start.loaded.resolved, sort_keys=False, allow_unicode=True)
    folder.recipe.write_text(text, encoding="utf-8")
    template = hashlib.sha256(str(start.tokenizer.chat_template).encode()).hexdigest()
    facts: dict[str, Any] = {
        "model": {"ref": start.recipe.model, **model_facts(start.model)},
        "template_sha256": template,
        "backend": {"name": start.recipe.backend.name, "versions": dict(start.backend.versions())},
    }
    if rows is not None:
        facts["data"] = {
            "sha256": rows.sha256,
            "rows": len(rows.rows),
            "too_long": rows.too_long,
            "merged": rows.merged,
            "longest": rows.longest,
        }
    if plan is not None:
        facts |= {k: plan.estimates[k] for k in ("device", "dtype") if k in plan.estimates}
        facts["sources"] = provenance(sources_of(start.recipe))
    write_lock(folder.lock, start.loaded, **facts)


@contextmanager
def _disk_errors(where: Path) -> Iterator[None]:
    """A full disk as one clear error."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise BackendError("the disk is full", str(error.filename or where), "free some space") from error
