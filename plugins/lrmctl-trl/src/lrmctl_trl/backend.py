"""The backend: a plan for `python -m lrmctl_trl.train`, and its run as a process. Never imports TRL."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from lrmctl import Plan
from lrmctl.backends import (
    Backend,
    Checkpoint,
    Problem,
    Progress,
    RlRecipe,
    StepLog,
    TrainJob,
    check_positions,
    diagnose,
    json_lines,
    prompts_in_order,
    raise_for,
    run_plan,
)
from lrmctl.errors import BackendError, NotFoundError, RecipeError
from lrmctl_trl import checkpoints
from lrmctl_trl.options import option_problems
from lrmctl_trl.report import steps_in
from lrmctl_trl.rules import problems
from lrmctl_trl.settings import fields, length

SETTINGS = "trl.json"


class Trl(Backend):
    """The `trl` backend."""

    name = "trl"
    packages = ("trl", "torch", "transformers", "accelerate", "datasets", "peft")

    def plan(self, job: TrainJob) -> Plan:
        """The plan of a job.

        Raises:
            RecipeError: the recipe asks for something that TRL cannot do, or there are too few rows.
        """
        recipe = job.recipe
        found = self.check(recipe)
        raise_for(found)
        device, dtype = _target(job)
        rl = isinstance(recipe, RlRecipe)
        longest, key = (recipe.max_len, "max_len") if rl else (recipe.data.max_len, "data.max_len")
        check_positions(job.described_by, longest, key)
        if not job.rows:
            raise RecipeError("there is nothing to train on", "prompts" if rl else "data", "see what was dropped")
        if any("weight_values" in row for row in job.rows):
            what = "the backend `trl` cannot do this: TRL's loss has no weights of tokens"
            raise RecipeError(what, "data.sources", "leave `loss_weight` out, or train with `openrlhf`")
        run = length(job)
        last = self.checkpoint(job.run_dir) if job.resume else None
        settings = {
            "kind": recipe.kind,
            "model": str(job.model_path),
            "trust_remote_code": recipe.trust_remote_code,
            "dtype": dtype,
            "fields": fields(job, device, dtype),
            "options": dict(recipe.backend.flags),
            "lora": recipe.optimizer.lora.model_dump(mode="json") if recipe.optimizer.lora else None,
            "updates": run.updates,
            "checkpoint": str(last.path) if last else None,
        }
        return Plan(
            backend=self.name,
            kind=recipe.kind,
            argv=(sys.executable, "-u", "-m", "lrmctl_trl.train", SETTINGS),
            env={"TOKENIZERS_PARALLELISM": "false", "TRL_EXPERIMENTAL_SILENCE": "1", "HF_HUB_DISABLE_TELEMETRY": "1"},
            files={SETTINGS: json.dumps(settings, indent=2) + "\n", **_data(job)},
            secrets={"reward-url": job.reward_url} if rl else {},
            resources={"gpus": int(device == "cuda"), "nodes": 1},
            estimates={"device": device, "dtype": dtype, "steps": run.steps, **_estimates(job, run.steps)},
            notes=tuple(problem.what for problem in found),
        )

    def check(self, recipe: Any) -> Sequence[Problem]:
        """Problems and notes; needs no GPU, model or data, and TRL only for options in `backend.flags`."""
        return [*problems(recipe), *option_problems(recipe)]

    def ready(self) -> None:
        """Raises NotFoundError: TRL is not installed here."""
        if find_spec("trl") is None:
            raise NotFoundError("TRL is not installed", fix="pip install lrmctl-trl")

    def checkpoint(self, run_dir: Path) -> Checkpoint | None:
        """The last checkpoint that can be loaded."""
        return checkpoints.last_checkpoint(run_dir, _updates(run_dir))

    def launch(
        self,
        plan: Plan,
        run_dir: Path,
        on_progress: Callable[[Progress], None],
        abort: Callable[[], Exception | None],
    ) -> Path:
        """Run the plan; see `lrmctl.backends.Backend`."""
        settings, total = json.loads(plan.files[SETTINGS]), int(plan.estimates["steps"])
        start, updates = 0, settings["updates"]
        if settings["checkpoint"]:
            path = Path(settings["checkpoint"])
            start = int(path.name.rpartition("-")[2]) // updates
            checkpoints.set_later_aside(run_dir, path)
        steps = StepLog(run_dir / "metrics.jsonl", total, start)
        on_progress(Progress(start, total, phase="loading the model"))

        def read(lines: list[str]) -> None:
            for step, metrics in steps_in(lines):
                on_progress(steps.record(step, metrics, checkpoints.last_step(run_dir, updates)))

        ended = run_plan(plan, run_dir, read, abort)
        if ended.exit_code:
            raise diagnose(ended.log, ended.exit_code)
        saved = run_dir / "model.part"
        if steps.last < total or not (saved / "config.json").exists():
            what = f"TRL ended after {steps.last} of {total} steps" if steps.last < total else "TRL saved no model"
            raise BackendError(what, str(ended.log), "read the log")
        saved.rename(run_dir / "model")  # its final name says that it is complete
        return run_dir / "model"


def _target(job: TrainJob) -> tuple[str, str]:
    """Device and precision.

    Raises:
        RecipeError: the device is not there, or cannot train in this precision.
    """
    section = job.recipe.backend
    cuda = _cuda() if job.here else section.device != "cpu"
    device = ("cuda" if cuda else "cpu") if section.device == "auto" else section.device
    if device == "cuda" and not cuda:
        raise RecipeError("torch sees no CUDA device", "backend.device", "say `device: auto` or `device: cpu`")
    dtype = section.dtype if section.dtype != "auto" else ("bf16" if device == "cuda" else "fp32")
    if (device, dtype) == ("cpu", "fp16"):
        raise RecipeError("torch does not train in fp16 on CPU", "backend.dtype", "say fp32 or bf16")
    return device, dtype


def _cuda() -> bool:
    import torch

    return torch.cuda.is_available()


def _updates(run_dir: Path) -> int:
    """Optimizer steps in one step of the run that is in this folder."""
    try:
        return int(json.loads((run_dir / SETTINGS).read_text(encoding="utf-8"))["updates"])
    except (OSError, ValueError, LookupError):
        return 1


def _data(job: TrainJob) -> dict[str, str]:
    if isinstance(job.recipe, RlRecipe):
        return {"data/prompts.jsonl": json_lines(prompts_in_order(job))}
    held = {"data/eval.jsonl": json_lines(job.eval_rows)} if job.eval_rows else {}
    return {"data/train.jsonl": json_lines(job.rows), **held}


def _estimates(job: TrainJob, steps: int) -> dict[str, Any]:
    """Numbers for the reader of a plan, by the names that the built-in backend has for them."""
    recipe, rows = job.recipe, len(job.rows)
    if not isinstance(recipe, RlRecipe):
        return {"rows": rows, "sequences": rows * recipe.train.epochs, "steps_per_epoch": steps / recipe.train.epochs}
    samples = recipe.algorithm.prompts_per_step * recipe.algorithm.samples_per_prompt
    return {
        "samples_per_step": samples,
        "samples": samples * steps,
        "prompts": rows,
        "passes_over_prompts": round(steps * recipe.algorithm.prompts_per_step / rows, 2),
        "tokens_at_most": samples * steps * recipe.rollout.max_new_tokens,
        "reference_model": recipe.algorithm.kl.coef > 0,
    }
