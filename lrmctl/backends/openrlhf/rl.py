"""An RL recipe as a plan for `openrlhf.cli.train_ppo_ray`.

GRPO is `group_norm` (arXiv 2402.03300). A KL coefficient of 0 starts no reference model. OpenRLHF has no word for the
number of steps: it follows from the number of prompts, so prompts are repeated or cut until it is the recipe's.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any

from lrmctl.backends.base import TrainJob
from lrmctl.backends.openrlhf import common
from lrmctl.backends.supervisor import TEMP
from lrmctl.errors import RecipeError
from lrmctl.recipe.schema import RlRecipe
from lrmctl.types import Plan

_DATA = "data/prompts.jsonl"
_OWNED: Mapping[str, str] = {
    "actor.model_name_or_path": "say it in the recipe: model",
    "actor.num_gpus_per_node": "say it in the recipe: layout.gpus",
    "actor.adam.lr": "say it in the recipe: optimizer.learning_rate",
    "actor.eps_clip_low_high": "say it in the recipe: algorithm.clip_low and clip_high",
    "actor.eps_clip": "say it in the recipe: algorithm.clip_low and clip_high",
    "algo.kl.init_coef": "say it in the recipe: algorithm.kl.coef",
    "algo.kl.use_loss": "say it in the recipe: algorithm.kl.place",
    "algo.kl.estimator": "say it in the recipe: algorithm.kl.estimator",
    "rollout.batch_size": "say it in the recipe: algorithm.prompts_per_step",
    "rollout.n_samples_per_prompt": "say it in the recipe: algorithm.samples_per_prompt",
    "rollout.max_new_tokens": "say it in the recipe: rollout.max_new_tokens",
    "rollout.temperature": "say it in the recipe: rollout.temperature",
    "rollout.top_p": "say it in the recipe: rollout.top_p",
    "train.batch_size": "say it in the recipe: algorithm.prompts_per_step and samples_per_prompt",
    "train.num_episodes": "say it in the recipe: algorithm.steps",
    "ckpt.save_steps": "say it in the recipe: save_every",
    "data.prompt_dataset": "say it in the recipe: prompts",
    "data.label_key": "lrmctl renders the data itself",
    "reward.remote_url": "say it in the recipe: reward",
    "reward.model_name_or_path": "say it in the recipe: reward",
    "train.agent_func_path": "rewards go through lrmctl's reward service, which the agent route does not call",
    "ds.lora.rank": "OpenRLHF 0.11 fails at the first weight broadcast with LoRA in RL",
}

_RAY: Mapping[str, str] = {
    "RAY_TMPDIR": TEMP,
    "RAY_ADDRESS": "local",  # a cluster of its own, never one that happens to run here
    "RAY_DEDUP_LOGS": "0",  # Ray would fold the lines of several steps into one
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_raylet_start_wait_time_s": "180",  # these three are 30, 60 and 30 s by default, too short on a busy machine
    "RAY_gcs_server_request_timeout_seconds": "180",
    "RAY_agent_register_timeout_ms": "180000",
}


def plan(job: TrainJob) -> Plan:
    """The plan of an RL job.

    Raises:
        RecipeError: if the recipe asks for what OpenRLHF cannot do.
    """
    recipe = job.recipe
    assert isinstance(recipe, RlRecipe)
    where = common.target(recipe.backend, recipe.layout, job.here)
    _check(job, recipe)
    flags, notes = common.merge_flags("train_ppo_ray", _flags(job, recipe, where), recipe.backend, _OWNED)
    if where.device == "cpu" and flags.get("ds.packing_samples"):
        raise RecipeError("packing needs flash attention, which is CUDA's", "backend.flags.ds.packing_samples")
    algorithm = recipe.algorithm
    rows = rows_for(job.rows, algorithm.steps * algorithm.prompts_per_step, recipe.seed)
    return Plan(
        backend="openrlhf",
        kind="rl",
        argv=common.program_argv("train_ppo_ray", flags),
        env={**common.environment(where), **_RAY},
        files={_DATA: common.rows_file(rows)},
        resources={"gpus": recipe.layout.gpus if where.device == "cuda" else 0, "nodes": 1},
        estimates={
            "steps": algorithm.steps,
            "device": where.device,
            "dtype": where.dtype,
            "samples_per_step": _samples(recipe),
            "samples": _samples(recipe) * algorithm.steps,
            "prompts": len(job.rows),
            "passes_over_prompts": round(len(rows) / len(job.rows), 2),
            "tokens_at_most": _samples(recipe) * algorithm.steps * recipe.rollout.max_new_tokens,
            "reference_model": algorithm.kl.coef > 0,
        },
        notes=(*notes, *_notes(recipe), *common.notes(job, where)),
    )


def rows_for(rows: Sequence[Mapping[str, str]], needed: int, seed: int) -> list[Mapping[str, str]]:
    """Exactly `needed` rows: whole shuffled passes over all rows, the last one cut. The mix of kinds holds on average.

    Args:
        rows: at least one row.
        seed: of the shuffles; each pass is shuffled anew.
    """
    draw, out = random.Random(seed), list[Mapping[str, str]]()
    while len(out) < needed:
        out += draw.sample(list(rows), len(rows))
    return out[:needed]


def _samples(recipe: RlRecipe) -> int:
    return recipe.algorithm.prompts_per_step * recipe.algorithm.samples_per_prompt


def _check(job: TrainJob, recipe: RlRecipe) -> None:
    """The rules that OpenRLHF leaves to asserts, or does not check at all."""
    micro, gpus, samples = recipe.optimizer.micro_batch_size, recipe.layout.gpus, _samples(recipe)
    if not job.rows:
        raise RecipeError("there is no prompt to train on", "prompts", "see what was dropped, and raise max_len")
    if recipe.rollout.max_new_tokens >= recipe.max_len:
        raise RecipeError(
            f"{recipe.rollout.max_new_tokens} new tokens leave no room for a prompt in max_len {recipe.max_len}",
            "rollout.max_new_tokens",
            "max_len counts prompt and response together",
        )
    common.check_positions(job.model_path, recipe.max_len, "max_len")
    if samples % (micro * gpus):
        raise RecipeError(
            f"{samples} samples a step cannot be cut into micro-batches of {micro} on {gpus} device(s)",
            "optimizer.micro_batch_size",
            "prompts_per_step x samples_per_prompt must be a multiple of micro_batch_size x gpus",
        )


def _rollout_micro(recipe: RlRecipe) -> int:
    """Sequences per forward pass without gradients: twice those of a training pass, where that divides the step."""
    micro = recipe.optimizer.micro_batch_size
    return micro if _samples(recipe) % (2 * micro * recipe.layout.gpus) else 2 * micro


def _flags(job: TrainJob, recipe: RlRecipe, where: common.Target) -> dict[str, Any]:
    return {
        "actor.model_name_or_path": str(job.model_path),
        "data.prompt_dataset": str(job.run_dir / _DATA),
        "data.input_key": "prompt",
        "data.label_key": "label",
        "data.max_len": recipe.max_len,
        "reward.remote_url": job.reward_url,
        "train.seed": recipe.seed,
        **_algorithm_flags(recipe),
        **common.optimizer_flags(recipe.optimizer, where, "actor."),
        **common.folder_flags(job),
        "ckpt.save_steps": recipe.save_every,
        "ckpt.best_metric_key": "none",
        **_device_flags(recipe, where),
    }


def _algorithm_flags(recipe: RlRecipe) -> dict[str, Any]:
    algorithm, kl = recipe.algorithm, recipe.algorithm.kl
    return {
        "algo.advantage.estimator": "group_norm",
        "rollout.batch_size": algorithm.prompts_per_step,
        "rollout.n_samples_per_prompt": algorithm.samples_per_prompt,
        "rollout.micro_batch_size": _rollout_micro(recipe),
        "rollout.max_new_tokens": recipe.rollout.max_new_tokens,
        "rollout.temperature": recipe.rollout.temperature,
        "rollout.top_p": recipe.rollout.top_p,
        "train.batch_size": _samples(recipe),
        "train.num_episodes": 1,
        "actor.eps_clip_low_high": [algorithm.clip_low, algorithm.clip_high],
        "actor.entropy_coef": 0,  # logs the entropy, adds nothing to the loss
        # The engine's own log-probabilities come back, so that vllm_kl is logged; a token's weight is cut at 2 (TIS).
        "algo.advantage.is_correction_level": "token",
        "algo.advantage.is_correction_mode": "clip",
        "algo.advantage.is_correction_threshold": [0, 2],
        "algo.kl.init_coef": kl.coef,
        "algo.kl.use_loss": kl.coef > 0 and kl.place == "loss",
        "algo.kl.estimator": kl.estimator if kl.coef > 0 else None,
    }


def _device_flags(recipe: RlRecipe, where: common.Target) -> dict[str, Any]:
    gpus = recipe.layout.gpus
    shared = {"actor.num_gpus_per_node": gpus, "ref.num_gpus_per_node": gpus, "vllm.num_engines": gpus}
    if where.device == "cpu":
        return {**shared, "vllm.tensor_parallel_size": 1, "vllm.enforce_eager": True, "vllm.sync_backend": "gloo"}
    return {
        **shared,
        "vllm.tensor_parallel_size": 1,
        "vllm.sync_backend": "nccl",
        "vllm.gpu_memory_utilization": 0.6,
        "train.colocate_all": True,
        "vllm.enable_sleep": True,
        "ds.enable_sleep": True,
        "ds.packing_samples": True,
        "actor.gradient_checkpointing_enable": True,
    }


def _notes(recipe: RlRecipe) -> list[str]:
    notes, kl = [], recipe.algorithm.kl
    if recipe.save_every is None:
        notes.append("no checkpoint is kept (save_every is not set): a run that breaks starts again from the beginning")
    if kl.coef > 0 and kl.place == "loss" and kl.estimator == "k1":
        notes.append("the k1 estimator as a loss has no useful gradient; k3 (or k2) is meant for that place")
    if kl.coef > 0 and kl.place == "reward" and kl.estimator != "k1":
        notes.append(f"the {kl.estimator} estimator is meant for the loss; k1 is the unbiased one as a reward")
    if recipe.rollout.top_p < 1:
        notes.append("with top_p below 1 samples come from another distribution than the one that is trained")
    return notes
