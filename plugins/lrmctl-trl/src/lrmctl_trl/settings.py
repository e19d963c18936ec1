"""A recipe as fields of TRL's SFTConfig, DPOConfig or GRPOConfig, and the numbers of steps that follow from it."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from lrmctl.backends import PreferenceRecipe, RlRecipe, SftRecipe, TrainJob


class Length(NamedTuple):
    """How long a run is.

    Attributes:
        steps: as lrmctl counts them.
        updates: TRL's optimizer steps in one of them.
    """

    steps: int
    updates: int = 1

    @property
    def optimizer_steps(self) -> int:
        return self.steps * self.updates


def length(job: TrainJob) -> Length:
    """Steps of a job. In SFT and DPO the last step of an epoch has the rows that are left."""
    recipe = job.recipe
    if isinstance(recipe, RlRecipe):
        algorithm = recipe.algorithm
        return Length(algorithm.steps, algorithm.updates_per_step * algorithm.epochs_per_step)
    return Length(math.ceil(len(job.rows) / recipe.train.batch_size) * recipe.train.epochs)


def fields(job: TrainJob, device: str, dtype: str) -> dict[str, Any]:
    """Fields of TRL's configuration that follow from the job."""
    recipe, run = job.recipe, length(job)
    shared = _shared(recipe, run, device, dtype)
    if isinstance(recipe, RlRecipe):
        return {**shared, **_rl(recipe, run)}
    return {**shared, **_offline(job, recipe), **(_preference(recipe) if isinstance(recipe, PreferenceRecipe) else {})}


def _shared(recipe: Any, run: Length, device: str, dtype: str) -> dict[str, Any]:
    optimizer = recipe.optimizer
    cosine = optimizer.schedule == "cosine"
    saved = {"save_strategy": "no"}
    if recipe.save_every:
        saved = {"save_strategy": "steps", "save_steps": recipe.save_every * run.updates, "save_total_limit": 2}
    return {
        "seed": recipe.seed,
        "learning_rate": optimizer.learning_rate,
        "adam_beta1": optimizer.betas[0],
        "adam_beta2": optimizer.betas[1],
        "weight_decay": optimizer.weight_decay,
        "max_grad_norm": optimizer.max_grad_norm,
        "lr_scheduler_type": "cosine_with_min_lr" if cosine else "constant_with_warmup",
        "lr_scheduler_kwargs": {"min_lr_rate": optimizer.min_lr_ratio} if cosine else None,
        "warmup_steps": math.ceil(run.optimizer_steps * optimizer.warmup_ratio),
        "per_device_train_batch_size": optimizer.micro_batch_size,
        "per_device_eval_batch_size": optimizer.micro_batch_size,
        "gradient_checkpointing": device == "cuda" and optimizer.gradient_checkpointing,
        "use_cpu": device == "cpu",
        "bf16": dtype == "bf16",
        "fp16": dtype == "fp16",
        "trust_remote_code": recipe.trust_remote_code,
        "logging_steps": run.updates,
        "logging_strategy": "steps",
        "disable_tqdm": True,
        "report_to": "none",
        **saved,
    }


def _offline(job: TrainJob, recipe: SftRecipe | PreferenceRecipe) -> dict[str, Any]:
    evaluated: dict[str, Any] = {"eval_strategy": "no"}
    if job.eval_rows:
        every = recipe.train.eval_every or math.ceil(len(job.rows) / recipe.train.batch_size)
        evaluated = {"eval_strategy": "steps", "eval_steps": every}
    return {
        "num_train_epochs": recipe.train.epochs,
        "gradient_accumulation_steps": recipe.train.batch_size // recipe.optimizer.micro_batch_size,
        "max_length": None,  # rows that are too long were left out, and counted
        **evaluated,
    }


def _preference(recipe: PreferenceRecipe) -> dict[str, Any]:
    section = recipe.preference
    losses, weights = (["sigmoid", "sft"], [1.0, section.nll_weight]) if section.nll_weight else (["sigmoid"], [1.0])
    return {"beta": section.beta, "loss_type": losses, "loss_weights": weights}


def _rl(recipe: RlRecipe, run: Length) -> dict[str, Any]:
    algorithm, rollout, micro = recipe.algorithm, recipe.rollout, recipe.optimizer.micro_batch_size
    samples = algorithm.prompts_per_step * algorithm.samples_per_prompt
    return {
        "max_steps": run.optimizer_steps,
        "num_generations": algorithm.samples_per_prompt,
        "gradient_accumulation_steps": samples // algorithm.updates_per_step // micro,
        "steps_per_generation": samples // micro,
        "num_iterations": algorithm.epochs_per_step,
        "shuffle_dataset": False,  # the rows are in the order of training
        "max_completion_length": rollout.max_new_tokens,
        "temperature": rollout.temperature,
        "top_p": rollout.top_p,
        "beta": algorithm.kl.coef,
        "epsilon": algorithm.clip_low,
        "epsilon_high": algorithm.clip_high,
        "delta": algorithm.dual_clip,
        "entropy_coef": algorithm.entropy_coef,
        "scale_rewards": "group" if algorithm.name == "grpo" else "none",
        "loss_type": "dapo" if algorithm.aggregation == "token" else "grpo",
        "importance_sampling_level": "sequence" if algorithm.loss == "gspo" else "token",
    }
