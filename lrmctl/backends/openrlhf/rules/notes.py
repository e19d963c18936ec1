"""What a recipe may do and its author should know: not an error, shown once with the plan."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from lrmctl.recipe.problems import Problem
from lrmctl.recipe.schema.algorithm import Algorithm
from lrmctl.recipe.schema.recipes import OfflineRecipe, RlRecipe, SftRecipe

if TYPE_CHECKING:
    from lrmctl.backends.openrlhf.common import ComputeTarget

Read = Mapping[str, Any]


def _note(key: str, what: str) -> Problem:
    return Problem(key, what, note=True)


def shared_notes(recipe: OfflineRecipe | RlRecipe, read: Read) -> Iterator[Problem]:
    muon = [flag for flag in ("optim", "actor.optim", "critic.optim") if read.get(flag) == "muon"]
    if muon and recipe.optimizer.max_grad_norm < 100:
        yield _note(
            "optimizer.max_grad_norm",
            f"DeepSpeed clips Muon's update after it is orthogonalised, where its norm is in the hundreds: a bound of "
            f"{recipe.optimizer.max_grad_norm:g} all but stops training; say 1e9 for no bound",
        )


def offline_notes(recipe: OfflineRecipe, target: ComputeTarget) -> Iterator[Problem]:
    if target.dtype == "fp16":
        yield _note("backend.dtype", "fp16 skips steps whose gradients overflow; bf16 does not")
    if recipe.optimizer.sequence_parallel > 1:
        yield _ring()
    rejection = recipe.data.rejection if isinstance(recipe, SftRecipe) else None
    if rejection is not None and rejection.rollout.max_new_tokens >= recipe.data.max_len:
        yield _note(
            "data.rejection.rollout.max_new_tokens",
            f"samples may have {rejection.rollout.max_new_tokens} tokens, and rows longer than max_len "
            f"{recipe.data.max_len} are dropped",
        )


def _ring() -> Problem:
    return _note("optimizer.sequence_parallel", "ring attention needs the package ring_flash_attn beside OpenRLHF")


def rl_notes(recipe: RlRecipe, read: Read) -> Iterator[Problem]:
    yield from _algorithm_notes(recipe.algorithm)
    yield from _kl_notes(recipe.algorithm)
    yield from _rollout_notes(recipe)
    if recipe.save_every is None:
        yield _note(
            "save_every",
            "no checkpoint is kept (save_every is not set): a run that breaks starts again from the beginning",
        )
    elif recipe.save_every > recipe.algorithm.steps:
        yield _note("save_every", f"no checkpoint is kept: the run has {recipe.algorithm.steps} steps")
    evaluation = recipe.evaluation
    if evaluation is not None and evaluation.every > recipe.algorithm.steps:
        yield _note("evaluation.every", f"the run is never evaluated: it has {recipe.algorithm.steps} steps")
    if evaluation is not None and evaluation.samples_per_prompt > 1 and evaluation.temperature == 0:
        yield _note("evaluation.samples_per_prompt", "at temperature 0 all samples of a prompt are the same")
    if recipe.optimizer.sequence_parallel > 1:
        yield _ring()
    tokens = read["train.max_tokens_per_gpu"] * recipe.optimizer.sequence_parallel
    if recipe.optimizer.dynamic_batch_tokens is not None and tokens < recipe.max_len:
        yield _note(
            "optimizer.dynamic_batch_tokens",
            f"a sequence of max_len {recipe.max_len} tokens is longer than a whole micro-batch is meant to be",
        )


def _algorithm_notes(algorithm: Algorithm) -> Iterator[Problem]:
    if algorithm.dynamic_filtering:
        yield _note(
            "algorithm.dynamic_filtering",
            "dynamic filtering draws from steps x prompts_per_step prompts: fewer steps if prompts are left out",
        )
    if algorithm.name == "ppo" and not algorithm.critic.warmup_steps:
        yield _note("algorithm.critic.warmup_steps", "ppo without a warm-up trains on the values of a random critic")
    if algorithm.loss == "gspo" and algorithm.aggregation == "token":
        yield _note("algorithm.aggregation", "gspo weighs every sequence the same, whatever is said here")
    if algorithm.loss == "gspo" and algorithm.importance.level != "off":
        yield _note(
            "algorithm.importance",
            "gspo then takes the rollout engine's probabilities as the old ones, so that their difference to the "
            f"trainer's (vllm_kl) eats up its clip of {min(algorithm.clip_low, algorithm.clip_high):g}: at 2.4e-4, "
            "39 % of the sequences with a negative advantage have no gradient under a clip of 3e-4; say `level: off`",
        )
    yield from _reward_clip_notes(algorithm)
    if algorithm.truncated_penalty is not None and algorithm.truncated_penalty >= 0:
        yield _note(
            "algorithm.truncated_penalty",
            "a factor makes a negative reward of a cut sample smaller too; a number below 0 is the reward itself",
        )


def _reward_clip_notes(algorithm: Algorithm) -> Iterator[Problem]:
    """OpenRLHF clips inside `compute_reward`, after the baseline was subtracted."""
    clip, n = algorithm.reward_clip, algorithm.samples_per_prompt
    if clip is None or algorithm.name in ("ppo", "reinforce"):
        return
    fix = "to cut the reward itself, say `reward.clip`"
    if algorithm.name != "grpo":
        yield _note(
            "algorithm.reward_clip", f"{algorithm.name} cuts the reward less its baseline to these bounds; {fix}"
        )
        return
    most = (n - 1) / math.sqrt(n)  # one sample against n - 1 equal ones
    if clip[0] <= -most and clip[1] >= most:
        what = f"never acts: grpo's normalised rewards of {n} samples lie within +-{most:.2f}; {fix}"
    else:
        what = (
            f"grpo cuts the reward over its group's deviation, which lies within +-{most:.2f}, to these bounds; {fix}"
        )
    yield _note("algorithm.reward_clip", what)


def _kl_notes(algorithm: Algorithm) -> Iterator[Problem]:
    kl = algorithm.kl
    if not kl.coef:
        return
    if kl.place == "loss" and kl.estimator == "k1" and not kl.unbiased_gradient:
        yield _note(
            "algorithm.kl.estimator",
            "the k1 estimator as a loss has no useful gradient; k3 (or k2) is meant for that place",
        )
    if kl.place == "reward" and kl.estimator != "k1":
        yield _note(
            "algorithm.kl.estimator",
            f"the {kl.estimator} estimator is meant for the loss; k1 is the unbiased one as a reward",
        )


def _rollout_notes(recipe: RlRecipe) -> Iterator[Problem]:
    rollout, off = recipe.rollout, recipe.algorithm.importance.level == "off"
    if rollout.top_p < 1:
        yield _note(
            "rollout.top_p",
            "with top_p below 1 samples come from another distribution than the one that is trained",
        )
    if rollout.mode != "sync" and off:
        yield _note(
            "algorithm.importance.level",
            f"{rollout.mode} rollouts are older than the weights they train, and nothing corrects for it",
        )
