"""The OpenRLHF training backend: turns a recipe into a command line and runs it as a subprocess. Never imports it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from lrmctl.backends.base import Backend, Checkpoint, Progress, TrainJob
from lrmctl.backends.openrlhf.flags import parser
from lrmctl.backends.openrlhf.plans import preference, rl, sft
from lrmctl.backends.openrlhf.run import checkpoints
from lrmctl.backends.openrlhf.run.adapters import is_adapter, merge_adapter
from lrmctl.backends.openrlhf.run.evaluations import Evaluations, keep_best
from lrmctl.backends.openrlhf.run.metrics import Recorder
from lrmctl.backends.process import run_plan
from lrmctl.backends.triage import diagnose
from lrmctl.errors import BackendError
from lrmctl.recipe.problems import Problem
from lrmctl.recipe.schema.recipes import OfflineRecipe, RlRecipe
from lrmctl.runs.folder import RunFolder
from lrmctl.types import Plan

_RAY_LOGS = ("ray/session_latest/logs/raylet.*", "ray/session_latest/logs/gcs_server.*")


class OpenRlhf(Backend):
    """The `openrlhf` backend."""

    name = "openrlhf"
    packages = ("openrlhf", "torch", "transformers", "deepspeed", "ray", "vllm", "flash-attn", "datasets", "peft")

    def plan(self, job: TrainJob) -> Plan:
        """The exact command line, files and environment of a job.

        Raises:
            RecipeError: if the recipe asks for something that OpenRLHF cannot do.
            NotFoundError: if OpenRLHF is not installed.
        """
        plans = {"sft": sft.plan, "preference": preference.plan, "rl": rl.plan}
        return plans[job.recipe.kind](job)

    def check(self, recipe: OfflineRecipe | RlRecipe) -> Sequence[Problem]:
        """Problems and notes of a recipe; needs neither OpenRLHF nor a GPU, a model or data."""
        from lrmctl.backends.openrlhf.validate import check

        return check(recipe)

    def ready(self) -> None:
        """Raises NotFoundError: OpenRLHF is not installed here."""
        parser.require()

    def checkpoint(self, run_dir: Path) -> Checkpoint | None:
        """The checkpoint that a resumed run would continue from; None if it would start over."""
        return checkpoints.last_checkpoint(run_dir)

    def launch(
        self,
        plan: Plan,
        run_dir: Path,
        on_progress: Callable[[Progress], None],
        abort: Callable[[], Exception | None],
    ) -> Path:
        """Run the plan; see `lrmctl.backends.base.Backend`."""
        folder = RunFolder(run_dir)
        resumed = "--ckpt.load_enable" in plan.argv
        last = checkpoints.restore(folder.path) if resumed else None
        start = last.step if last else 0
        recorder = Recorder(folder.metrics, plan, start, folder.logs / "tensorboard")
        evaluations = Evaluations(folder.path / "evaluations.jsonl", plan.estimates.get("best", ""), start)
        on_progress(Progress(start, recorder.total))

        def read(lines: list[str]) -> None:
            evaluations.read(lines)
            for progress in recorder.read(lines):
                on_progress(progress)

        ended = run_plan(plan, folder.path, read, abort, keep=_RAY_LOGS)
        if ended.exit_code:
            raise diagnose(ended.log, ended.exit_code)
        for progress in recorder.finish():
            on_progress(progress)
        return _finished_model(plan, folder, recorder, ended.log)


def _finished_model(plan: Plan, folder: RunFolder, recorder: Recorder, log: Path) -> Path:
    """Give the saved model its final name, which marks it as complete."""
    saved = folder.path / "model.part"
    if recorder.last < recorder.total and not (recorder.last and plan.estimates.get("steps_are_at_most")):
        raise BackendError(f"OpenRLHF ended after {recorder.last} of {recorder.total} steps", str(log), "read the log")
    if not (saved / "config.json").exists():
        raise BackendError("OpenRLHF ended well but saved no model", str(log), "read the log")
    if is_adapter(saved):
        merge_adapter(saved, folder.path / "adapter")
    if plan.estimates.get("best"):
        keep_best(folder.path / "checkpoints", saved)
    saved.rename(folder.model)
    return folder.model
