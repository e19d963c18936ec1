"""Rules for RL with OpenRLHF: algorithm, rollouts, layout. Each function checks one part."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from lrmctl.backends.openrlhf.rules.batch_split import BatchSplit
from lrmctl.recipe.problems import Problem
from lrmctl.recipe.schema.algorithm import GROUP_ALGORITHMS, Algorithm, Critic
from lrmctl.recipe.schema.recipes import RlRecipe

if TYPE_CHECKING:
    from lrmctl.backends.openrlhf.common import ComputeTarget

Read = Mapping[str, Any]


def rl_problems(recipe: RlRecipe, target: ComputeTarget, read: Read) -> Iterator[Problem]:
    """Problems of an RL recipe.

    Args:
        read: the flags as OpenRLHF parses them.
    """
    yield from _samples(recipe.algorithm)
    yield from _advantages(recipe.algorithm)
    yield from _clipping(recipe.algorithm)
    yield from _importance(recipe.algorithm)
    yield from _kl(recipe.algorithm)
    yield from _critic(recipe)
    yield from _reward(recipe)
    yield from _lengths(recipe)
    yield from _modes(recipe, target)
    yield from _evaluation(recipe)
    yield from _layout(recipe, target, read)
    yield from _given(recipe, target, read)
    if recipe.optimizer.lora is not None:
        yield Problem(
            "optimizer.lora",
            "RL with LoRA ends at the first update: OpenRLHF sends vLLM the adapter's parameter names, which it does "
            "not know",
            "leave `lora:` out, or train the adapters with SFT",
        )


def _samples(algorithm: Algorithm) -> Iterator[Problem]:
    name, samples = algorithm.name, algorithm.samples_per_prompt
    total = algorithm.prompts_per_step * samples
    if samples < 2 and name in GROUP_ALGORITHMS:
        yield Problem(
            "algorithm.samples_per_prompt",
            f"{name} compares the samples of one prompt, and there is one: every advantage is 0",
            "say at least 2; reinforce, flash_reinforce and ppo work with 1",
        )
    elif samples < 2 and algorithm.dynamic_filtering is not None:
        yield Problem("algorithm.samples_per_prompt", "dynamic filtering compares samples of a prompt", "at least 2")
    if name in ("reinforce", "flash_reinforce") and total < 2:
        yield Problem("algorithm.prompts_per_step", f"{name} compares the samples of a step, and there is one", "2")
    if total % algorithm.updates_per_step:
        yield Problem(
            "algorithm.updates_per_step",
            f"{total} samples a step cannot be cut into {algorithm.updates_per_step} updates",
            "it must divide prompts_per_step x samples_per_prompt",
        )


def _advantages(algorithm: Algorithm) -> Iterator[Problem]:
    name = algorithm.name
    if name == "grpo" and not algorithm.normalize_std:
        yield Problem(
            "algorithm.normalize_std",
            "OpenRLHF's grpo always divides by the group's standard deviation",
            "say `name: dr_grpo`, which does not",
        )
    if algorithm.gamma != 1 and name not in ("reinforce", "ppo"):
        yield Problem("algorithm.gamma", f"{name} does not discount: OpenRLHF sets gamma to 1", "leave it out")
    if algorithm.gae_lambda != 1 and name != "ppo":
        yield Problem("algorithm.gae_lambda", f"{name} has no generalised advantages; ppo has", "leave it out")


def _clipping(algorithm: Algorithm) -> Iterator[Problem]:
    if algorithm.clip_low >= 1:
        yield Problem("algorithm.clip_low", "the ratio is never below 0: nothing would be cut", "say less than 1")
    if algorithm.dual_clip is not None and algorithm.dual_clip <= 1 + algorithm.clip_high:
        yield Problem(
            "algorithm.dual_clip",
            f"{algorithm.dual_clip:g} lies inside of the ratio's own bound 1 + clip_high = {1 + algorithm.clip_high:g}",
            "say more, e.g. 3",
        )


def _importance(algorithm: Algorithm) -> Iterator[Problem]:
    importance = algorithm.importance
    if importance.level == "off" or algorithm.loss == "gspo":
        return
    if importance.mode == "clip" and (importance.level, importance.statistic) != ("token", "ratio"):
        yield Problem(
            "algorithm.importance.mode",
            f"only the ratio of a token can be cut to a bound, not the {importance.statistic} of a {importance.level}",
            "say `mode: mask`",
        )
    if importance.statistic != "ratio" and importance.low > 0:
        yield Problem("algorithm.importance.low", f"{importance.statistic} has an upper bound only", "say `low: 0`")
    if importance.low >= importance.high:
        yield Problem("algorithm.importance.low", f"is not below high, {importance.high:g}", "lower it")


def _kl(algorithm: Algorithm) -> Iterator[Problem]:
    kl = algorithm.kl
    if not kl.coef:
        for word, given in (("target", kl.target is not None), ("unbiased_gradient", kl.unbiased_gradient)):
            if given:
                yield Problem(f"algorithm.kl.{word}", "there is no KL without a coefficient", "say `kl.coef: 0.01`")
        return
    if kl.target is not None and kl.place != "reward":
        yield Problem("algorithm.kl.target", "only a KL in the reward can be steered", "say `kl.place: reward`")
    if kl.unbiased_gradient and kl.place != "loss":
        yield Problem("algorithm.kl.unbiased_gradient", "a KL in the reward has no gradient", "say `kl.place: loss`")


def _critic(recipe: RlRecipe) -> Iterator[Problem]:
    algorithm, critic, plain = recipe.algorithm, recipe.algorithm.critic, Critic()
    if algorithm.name != "ppo":
        for word in Critic.model_fields:
            if getattr(critic, word) != getattr(plain, word):
                yield Problem(f"algorithm.critic.{word}", f"{algorithm.name} has no critic; ppo has", "leave it out")
        if recipe.layout.critic_gpus is not None:
            yield Problem("layout.critic_gpus", f"{algorithm.name} has no critic; ppo has", "leave it out")
    elif critic.warmup_steps >= algorithm.steps:
        yield Problem(
            "algorithm.critic.warmup_steps",
            f"the actor is not trained in any of {algorithm.steps} steps",
            "say less than algorithm.steps",
        )


def _reward(recipe: RlRecipe) -> Iterator[Problem]:
    algorithm, room = recipe.algorithm, recipe.rollout.max_new_tokens
    if algorithm.overlong is not None and algorithm.overlong.buffer >= room:
        yield Problem(
            "algorithm.overlong.buffer",
            f"a buffer of {algorithm.overlong.buffer} punishes from the first of {room} new tokens on",
            "say less than rollout.max_new_tokens",
        )
    if algorithm.truncated_penalty is not None and algorithm.truncated_penalty > 1:
        yield Problem(
            "algorithm.truncated_penalty",
            f"{algorithm.truncated_penalty:g} would reward being cut off",
            "say 0 to 1 (a factor), or a number below 0 (the reward)",
        )
    if algorithm.reward_clip is not None and algorithm.reward_clip[0] >= algorithm.reward_clip[1]:
        yield Problem("algorithm.reward_clip", "the lower bound is not below the upper one", "say [low, high]")
    filtering = algorithm.dynamic_filtering
    if filtering is not None and filtering.low >= filtering.high:
        yield Problem("algorithm.dynamic_filtering.low", f"is not below high, {filtering.high:g}: no prompt is kept")


def _lengths(recipe: RlRecipe) -> Iterator[Problem]:
    if recipe.rollout.max_new_tokens >= recipe.max_len:
        yield Problem(
            "rollout.max_new_tokens",
            f"{recipe.rollout.max_new_tokens} new tokens leave no room for a prompt in max_len {recipe.max_len}",
            "max_len counts prompt and response together",
        )


def _modes(recipe: RlRecipe, target: ComputeTarget) -> Iterator[Problem]:
    rollout = recipe.rollout
    if rollout.mode == "sync" and rollout.oversample > 1:
        yield Problem("rollout.oversample", "samples that wait for a later step need a queue", "say `mode: async`")
    if rollout.mode == "sync" and rollout.queue > 1:
        yield Problem("rollout.queue", "there is no queue where sampling and training take turns", "say `mode: async`")
    if target.device == "cuda" and rollout.engine == "builtin":
        yield Problem("rollout.engine", "the built-in rollout engine is for CPU", "say `engine: vllm` or `auto`")


def _evaluation(recipe: RlRecipe) -> Iterator[Problem]:
    evaluation, steps = recipe.evaluation, recipe.algorithm.steps
    if evaluation is not None and evaluation.best and evaluation.every > steps:
        yield Problem(
            "evaluation.every",
            f"a run of {steps} steps is never evaluated, so that no step is the best",
            f"say at most {steps}, or leave `best` out",
        )


def _layout(recipe: RlRecipe, target: ComputeTarget, read: Read) -> Iterator[Problem]:
    layout = recipe.layout
    if layout.reference_gpus is not None and not recipe.algorithm.kl.coef:
        yield Problem("layout.reference_gpus", "without a KL there is no reference model", "leave it out")
    if layout.placement == "colocated":
        for word in ("rollout_gpus", "reference_gpus", "critic_gpus"):
            if getattr(layout, word) is not None:
                yield Problem(f"layout.{word}", "colocated roles share the actor's GPUs", "say `placement: separate`")
    if target.device == "cuda":
        yield from _engines(recipe)
        yield from _other_roles(recipe, read)


def _engines(recipe: RlRecipe) -> Iterator[Problem]:
    layout = recipe.layout
    own = layout.rollout_gpus if layout.placement == "separate" else None
    gpus = own or layout.nodes * layout.gpus
    if gpus % layout.tensor_parallel:
        yield Problem(
            "layout.tensor_parallel",
            f"{gpus} GPUs of rollouts cannot be cut into engines of {layout.tensor_parallel}",
            "it must divide layout.rollout_gpus" if own else "it must divide layout.nodes x layout.gpus",
        )


def _other_roles(recipe: RlRecipe, read: Read) -> Iterator[Problem]:
    """Reference and critic get the actor's micro-batches, on their own number of processes."""
    layout, shares = recipe.layout, BatchSplit.of(recipe, read)
    micro = recipe.optimizer.micro_batch_size
    if layout.placement != "separate" or recipe.optimizer.dynamic_batch_tokens is not None:
        return
    for word in ("reference_gpus", "critic_gpus"):
        processes = layout.nodes * (getattr(layout, word) or layout.gpus)
        if processes % shares.together or shares.batch % (micro * (processes // shares.together)):
            yield Problem(
                f"layout.{word}" if getattr(layout, word) else "layout.gpus",
                f"{shares.batch} samples an update cannot be cut into micro-batches of {micro} on {processes} GPUs",
                "take a number that divides them",
            )


def _given(recipe: RlRecipe, target: ComputeTarget, read: Read) -> Iterator[Problem]:
    """Rules about options that only `backend.flags` can set."""
    given, shares = recipe.backend.flags, BatchSplit.of(recipe, read)
    colocated = read["train.colocate_all"]
    if "vllm.enable_sleep" in given and read["vllm.enable_sleep"] and (not colocated or recipe.rollout.mode != "sync"):
        yield Problem(
            "backend.flags.vllm.enable_sleep",
            "an engine sleeps only while others use its GPU: colocated, and not while sampling is asynchronous",
            "leave it out",
        )
    if "ds.enable_sleep" in given and read["ds.enable_sleep"] and not colocated:
        yield Problem("backend.flags.ds.enable_sleep", "nobody else uses the trainer's GPUs", "leave it out")
    if read["train.colocate_actor_ref"] and recipe.layout.reference_gpus not in (None, recipe.layout.gpus):
        yield Problem(
            "layout.reference_gpus",
            "the reference model is put on the actor's GPUs and must have as many",
            f"say {recipe.layout.gpus}, or leave the flag train.colocate_actor_ref out",
        )
    step = recipe.algorithm.prompts_per_step * recipe.algorithm.samples_per_prompt
    micro = read["rollout.micro_batch_size"]
    by_count = "rollout.micro_batch_size" in given and not read["train.dynamic_batch_enable"]
    if by_count and (micro < 1 or step % (micro * shares.parallel)):
        yield Problem(
            "backend.flags.rollout.micro_batch_size",
            f"{step} samples a step cannot be cut into micro-batches of {micro} on {shares.parallel} device(s)",
            "take a divisor",
        )
    if target.device == "cpu" and read["train.colocate_actor_ref"]:
        yield Problem("backend.flags.train.colocate_actor_ref", "on CPU every role is a process", "leave it out")
