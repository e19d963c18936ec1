"""An RL recipe as OpenRLHF's flags: those that follow from the recipe alone, without a model or data.

Forbidden combinations are not decided here: see `rules`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lrmctl.backends.openrlhf import common
from lrmctl.recipe.schema.algorithm import Algorithm, AlgorithmName, RlRollout
from lrmctl.recipe.schema.recipes import RlRecipe

ESTIMATORS: Mapping[AlgorithmName, str] = {
    "grpo": "group_norm",  # arXiv 2402.03300
    "dr_grpo": "dr_grpo",  # arXiv 2503.20783
    "rloo": "rloo",  # arXiv 2402.14740
    "reinforce": "reinforce",
    "reinforce_pp": "reinforce_baseline",  # arXiv 2501.03262
    "flash_reinforce": "flash_reinforce",
    "ppo": "gae",  # arXiv 1707.06347
}
_AGGREGATIONS = {"token": "token-mean", "sequence": "seq-mean-token-mean"}
_LEVELS = {"off": "off", "token": "token", "sequence": "seq"}
_GPU_MEMORY = {"colocated": 0.6, "separate": 0.9}

RL_RECIPE_KEYS: Mapping[str, str] = {
    "actor.model_name_or_path": "model",
    "critic.model_name_or_path": "algorithm.critic.model",
    "data.prompt_dataset": "prompts",
    "eval.dataset": "evaluation.prompts",
    "reward.remote_url": "reward",
    "reward.model_name_or_path": "reward",
    "actor.num_nodes": "layout.nodes",
    "actor.num_gpus_per_node": "layout.gpus",
    "ref.num_nodes": "layout.nodes",
    "ref.num_gpus_per_node": "layout.reference_gpus",
    "critic.num_nodes": "layout.nodes",
    "critic.num_gpus_per_node": "layout.critic_gpus",
    "vllm.num_engines": "layout.rollout_gpus",
    "vllm.tensor_parallel_size": "layout.tensor_parallel",
    "train.colocate_all": "layout.placement",
    "actor.adam.lr": "optimizer.learning_rate",
    "actor.adam.betas": "optimizer.betas",
    "actor.adam.weight_decay": "optimizer.weight_decay",
    "actor.lr_warmup_ratio": "optimizer.warmup_ratio",
    "actor.lr_scheduler": "optimizer.schedule",
    "actor.min_lr_ratio": "optimizer.min_lr_ratio",
    "actor.max_norm": "optimizer.max_grad_norm",
    "actor.gradient_checkpointing_enable": "optimizer.gradient_checkpointing",
    "train.dynamic_batch_enable": "optimizer.dynamic_batch_tokens",
    "train.max_tokens_per_gpu": "optimizer.dynamic_batch_tokens",
    "rollout.max_tokens_per_gpu": "optimizer.dynamic_batch_tokens",
    "ckpt.save_steps": "save_every",
    "rollout.batch_size": "algorithm.prompts_per_step",
    "rollout.n_samples_per_prompt": "algorithm.samples_per_prompt",
    "train.batch_size": "algorithm.updates_per_step",
    "train.max_epochs": "algorithm.epochs_per_step",
    "train.num_episodes": "algorithm.steps",
    "algo.advantage.estimator": "algorithm.name",
    "algo.advantage.no_std_norm": "algorithm.normalize_std",
    "algo.advantage.gamma": "algorithm.gamma",
    "algo.advantage.lambd": "algorithm.gae_lambda",
    "algo.advantage.is_correction_level": "algorithm.importance.level",
    "algo.advantage.is_correction_mode": "algorithm.importance.mode",
    "algo.advantage.is_correction_gating": "algorithm.importance.statistic",
    "algo.advantage.is_correction_threshold": "algorithm.importance.low and high",
    "actor.policy_loss_type": "algorithm.loss",
    "actor.loss_agg_mode": "algorithm.aggregation",
    "actor.eps_clip": "algorithm.clip_low and clip_high",
    "actor.eps_clip_low_high": "algorithm.clip_low and clip_high",
    "actor.dual_clip": "algorithm.dual_clip",
    "actor.entropy_coef": "algorithm.entropy_coef",
    "train.enable_ema": "algorithm.ema",
    "train.ema_beta": "algorithm.ema",
    "algo.kl.init_coef": "algorithm.kl.coef",
    "algo.kl.use_loss": "algorithm.kl.place",
    "algo.kl.estimator": "algorithm.kl.estimator",
    "algo.kl.target": "algorithm.kl.target",
    "algo.kl.horizon": "algorithm.kl.horizon",
    "algo.kl.unbiased_gradient": "algorithm.kl.unbiased_gradient",
    "critic.adam.lr": "algorithm.critic.learning_rate",
    "critic.value_clip": "algorithm.critic.value_clip",
    "critic.freezing_steps": "algorithm.critic.warmup_steps",
    "reward.clip_range": "algorithm.reward_clip",
    "reward.overlong_buffer_len": "algorithm.overlong.buffer",
    "reward.overlong_penalty_factor": "algorithm.overlong.penalty",
    "reward.stop_properly_penalty_coef": "algorithm.truncated_penalty",
    "algo.dynamic_filtering_enable": "algorithm.dynamic_filtering",
    "algo.dynamic_filtering_range": "algorithm.dynamic_filtering.low and high",
    "rollout.max_new_tokens": "rollout.max_new_tokens",
    "rollout.temperature": "rollout.temperature",
    "rollout.top_p": "rollout.top_p",
    "train.async_enable": "rollout.mode",
    "train.async_queue_size": "rollout.queue",
    "train.partial_rollout_enable": "rollout.mode",
    "rollout.vllm_generate_batch_size": "rollout.oversample",
    "vllm.gpu_memory_utilization": "rollout.gpu_memory",
    "vllm.enable_prefix_caching": "rollout.prefix_caching",
    "vllm.enforce_eager": "rollout.cuda_graphs",
    "eval.steps": "evaluation.every",
    "eval.temperature": "evaluation.temperature",
    "eval.n_samples_per_prompt": "evaluation.samples_per_prompt",
    "ckpt.best_metric_key": "evaluation.best",
}
"""OpenRLHF's flags that have a recipe key, with the key."""


def recipe_flags(recipe: RlRecipe, target: common.ComputeTarget) -> dict[str, Any]:
    """OpenRLHF's flags for a recipe on a device."""
    return {
        "data.input_key": "prompt",
        "data.label_key": "label",
        "data.max_len": recipe.max_len,
        "train.seed": recipe.seed,
        **_batch_flags(recipe),
        **_advantage_flags(recipe.algorithm),
        **_loss_flags(recipe.algorithm),
        **_kl_flags(recipe.algorithm),
        **_critic_flags(recipe, target),
        **_reward_flags(recipe.algorithm),
        **_rollout_flags(recipe),
        **_optimizer_flags(recipe, target),
        **_evaluation_flags(recipe),
        **_layout_flags(recipe, target),
    }


def samples_per_step(recipe: RlRecipe) -> int:
    return recipe.algorithm.prompts_per_step * recipe.algorithm.samples_per_prompt


def _batch_flags(recipe: RlRecipe) -> dict[str, Any]:
    algorithm, micro = recipe.algorithm, recipe.optimizer.micro_batch_size
    samples = samples_per_step(recipe)
    processes = recipe.layout.nodes * recipe.layout.gpus
    # without gradients twice as many sequences fit, where that divides the step
    double = samples % (2 * micro * processes) == 0
    return {
        "rollout.batch_size": algorithm.prompts_per_step,
        "rollout.n_samples_per_prompt": algorithm.samples_per_prompt,
        "rollout.micro_batch_size": 2 * micro if double else micro,
        "train.batch_size": samples // algorithm.updates_per_step,
        "train.max_epochs": algorithm.epochs_per_step,
        "train.num_episodes": 1,
    }


def _advantage_flags(algorithm: Algorithm) -> dict[str, Any]:
    importance = algorithm.importance
    return {
        "algo.advantage.estimator": ESTIMATORS[algorithm.name],
        "algo.advantage.no_std_norm": not algorithm.normalize_std,
        "algo.advantage.gamma": algorithm.gamma,
        "algo.advantage.lambd": algorithm.gae_lambda,
        "algo.advantage.is_correction_level": _LEVELS[importance.level],
        "algo.advantage.is_correction_mode": importance.mode,
        "algo.advantage.is_correction_gating": importance.statistic,
        "algo.advantage.is_correction_threshold": [importance.low, importance.high],
    }


def _loss_flags(algorithm: Algorithm) -> dict[str, Any]:
    return {
        "actor.policy_loss_type": algorithm.loss,
        "actor.loss_agg_mode": _AGGREGATIONS[algorithm.aggregation],
        "actor.eps_clip_low_high": [algorithm.clip_low, algorithm.clip_high],
        "actor.dual_clip": algorithm.dual_clip,
        "actor.entropy_coef": algorithm.entropy_coef,  # 0 logs the entropy without adding it to the loss
        "train.enable_ema": algorithm.ema is not None,
        "train.ema_beta": algorithm.ema,
    }


def _kl_flags(algorithm: Algorithm) -> dict[str, Any]:
    kl = algorithm.kl
    if not kl.coef:
        return {"algo.kl.init_coef": 0}
    return {
        "algo.kl.init_coef": kl.coef,
        "algo.kl.use_loss": kl.place == "loss",
        "algo.kl.estimator": kl.estimator,
        "algo.kl.target": kl.target,
        "algo.kl.horizon": kl.horizon if kl.target is not None else None,
        "algo.kl.unbiased_gradient": kl.unbiased_gradient,
    }


def _critic_flags(recipe: RlRecipe, target: common.ComputeTarget) -> dict[str, Any]:
    if recipe.algorithm.name != "ppo":
        return {}
    critic = recipe.algorithm.critic
    return {
        **{k: v for k, v in common.optimizer_flags(recipe.optimizer, target, "critic.").items() if k.startswith("c")},
        "critic.adam.lr": critic.learning_rate,
        "critic.value_clip": critic.value_clip,
        "critic.freezing_steps": critic.warmup_steps - 1,  # OpenRLHF trains the actor at steps above this, from 0
        "critic.num_nodes": recipe.layout.nodes,
        "critic.num_gpus_per_node": _role(recipe, recipe.layout.critic_gpus),
    }


def _reward_flags(algorithm: Algorithm) -> dict[str, Any]:
    filtering, overlong = algorithm.dynamic_filtering, algorithm.overlong
    return {
        "reward.clip_range": list(algorithm.reward_clip) if algorithm.reward_clip else None,
        "reward.overlong_buffer_len": overlong.buffer if overlong else None,
        "reward.overlong_penalty_factor": overlong.penalty if overlong else None,
        "reward.stop_properly_penalty_coef": algorithm.truncated_penalty,
        "algo.dynamic_filtering_enable": filtering is not None,
        "algo.dynamic_filtering_range": [filtering.low, filtering.high] if filtering else None,
    }


def _rollout_flags(recipe: RlRecipe) -> dict[str, Any]:
    rollout = recipe.rollout
    asynchronous = rollout.mode != "sync"
    return {
        "rollout.max_new_tokens": rollout.max_new_tokens,
        "rollout.temperature": rollout.temperature,
        "rollout.top_p": rollout.top_p,
        "train.async_enable": asynchronous,
        "train.async_queue_size": rollout.queue if asynchronous else None,
        "train.partial_rollout_enable": rollout.mode == "partial",
        "rollout.vllm_generate_batch_size": _oversampled(recipe.algorithm, rollout),
        "vllm.enable_prefix_caching": rollout.prefix_caching,
        "vllm.enforce_eager": not rollout.cuda_graphs,
    }


def _oversampled(algorithm: Algorithm, rollout: RlRollout) -> int | None:
    return round(algorithm.prompts_per_step * rollout.oversample) if rollout.oversample > 1 else None


def _optimizer_flags(recipe: RlRecipe, target: common.ComputeTarget) -> dict[str, Any]:
    optimizer, tokens = recipe.optimizer, recipe.optimizer.dynamic_batch_tokens
    return {
        **common.optimizer_flags(optimizer, target, "actor."),
        "actor.gradient_checkpointing_enable": target.device == "cuda" and optimizer.gradient_checkpointing,
        "train.dynamic_batch_enable": tokens is not None,
        "train.max_tokens_per_gpu": tokens,
        "rollout.max_tokens_per_gpu": tokens,
        "ckpt.save_steps": recipe.save_every,
    }


def _evaluation_flags(recipe: RlRecipe) -> dict[str, Any]:
    evaluation = recipe.evaluation
    if evaluation is None:
        return {"ckpt.best_metric_key": "none"}
    return {
        "eval.steps": evaluation.every,
        "eval.temperature": evaluation.temperature,
        "eval.n_samples_per_prompt": evaluation.samples_per_prompt,
        "ckpt.best_metric_key": f"eval_{BEST}_pass1" if evaluation.best else "none",
        "ckpt.save_hf": evaluation.best is not None,
    }


BEST = "best"
"""Name under which OpenRLHF averages the metric that selects the best checkpoint."""


def _role(recipe: RlRecipe, own: int | None) -> int:
    """GPUs per node of a role: those of the actor, unless it has its own."""
    return recipe.layout.gpus if recipe.layout.placement == "colocated" or own is None else own


def _layout_flags(recipe: RlRecipe, target: common.ComputeTarget) -> dict[str, Any]:
    layout, rollout = recipe.layout, recipe.rollout
    colocated = layout.placement == "colocated" and target.device == "cuda"
    engines = layout.nodes * layout.gpus if layout.placement == "colocated" or layout.rollout_gpus is None else 0
    flags = {
        "actor.num_nodes": layout.nodes,
        "actor.num_gpus_per_node": layout.gpus,
        "ref.num_nodes": layout.nodes,
        "ref.num_gpus_per_node": _role(recipe, layout.reference_gpus),
        "vllm.num_engines": (engines or layout.rollout_gpus or 1) // layout.tensor_parallel,
        "vllm.tensor_parallel_size": layout.tensor_parallel,
    }
    if target.device == "cpu":
        return {**flags, "vllm.enforce_eager": True, "vllm.sync_backend": "gloo"}
    return {
        **flags,
        "vllm.sync_backend": "nccl",
        "vllm.gpu_memory_utilization": rollout.gpu_memory or _GPU_MEMORY[layout.placement],
        "train.colocate_all": colocated,
        # in async mode only the DeepSpeed models share GPUs, and vLLM must not sleep
        "vllm.enable_sleep": colocated and rollout.mode == "sync",
        "ds.enable_sleep": colocated,
    }
