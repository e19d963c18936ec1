"""What a recipe can say and TRL, in one process, cannot do: refused by key, instead of being left out silently."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from lrmctl.backends import PreferenceRecipe, Problem, RlRecipe, SftRecipe

ONE_PROCESS = "this backend trains in one process, on one GPU or on CPU"
_NO_SUCH = "TRL's GRPO has nothing like it"
_NO_VLLM = "samples come from transformers, and this is about vLLM"
_SYNC = "sampling and training take turns"

DEFAULTS_ONLY: Mapping[str, str] = {
    "layout.nodes": ONE_PROCESS,
    "layout.gpus": ONE_PROCESS,
    "layout.placement": ONE_PROCESS,
    "layout.rollout_gpus": ONE_PROCESS,
    "layout.reference_gpus": ONE_PROCESS,
    "layout.critic_gpus": ONE_PROCESS,
    "layout.tensor_parallel": ONE_PROCESS,
    "launch.via": ONE_PROCESS,
    "optimizer.offload": "it is DeepSpeed's, and " + ONE_PROCESS,
    "optimizer.dynamic_batch_tokens": "TRL has no batching by tokens",
    "optimizer.sequence_parallel": ONE_PROCESS,
}
"""Keys of any recipe that must be left at their defaults, and why."""
RL_DEFAULTS_ONLY: Mapping[str, str] = {
    "evaluation": "TRL evaluates no reward component; use `lrmctl eval` on the finished model",
    "algorithm.normalize_std": "TRL's GRPO divides by the group's deviation; `name: dr_grpo` does not divide",
    "algorithm.gamma": "TRL's GRPO does not discount",
    "algorithm.gae_lambda": "TRL's GRPO has no critic",
    "algorithm.critic": "TRL's GRPO has no critic",
    "algorithm.dynamic_filtering": _NO_SUCH,
    "algorithm.overlong": _NO_SUCH,
    "algorithm.truncated_penalty": _NO_SUCH,
    "algorithm.reward_clip": f"{_NO_SUCH}; `reward.clip` cuts the reward itself",
    "algorithm.ema": _NO_SUCH,
    "algorithm.kl.target": "TRL's coefficient is fixed",
    "algorithm.kl.unbiased_gradient": _NO_SUCH,
    "rollout.engine": "samples come from transformers",
    "rollout.mode": _SYNC,
    "rollout.queue": _SYNC,
    "rollout.oversample": _SYNC,
    "rollout.gpu_memory": _NO_VLLM,
    "rollout.prefix_caching": _NO_VLLM,
    "rollout.cuda_graphs": _NO_VLLM,
}
"""Keys of an RL recipe that must be left at their defaults, and why."""
ALGORITHMS = ("grpo", "dr_grpo")


def problems(recipe: SftRecipe | PreferenceRecipe | RlRecipe) -> Iterator[Problem]:
    """What of a recipe TRL cannot do, and notes."""
    yield from _changed(recipe, DEFAULTS_ONLY)
    device, dtype = recipe.backend.device, recipe.backend.dtype
    if device == "cpu" and dtype == "fp16":
        yield Problem("backend.dtype", "torch does not train in fp16 on CPU", "say fp32 or bf16")
    if isinstance(recipe, RlRecipe):
        yield from _rl(recipe)
        return
    yield from _batch(recipe.train.batch_size, recipe.optimizer.micro_batch_size, "train.batch_size")
    if recipe.train.eval_every is not None and not recipe.data.eval_rows:
        yield Problem("train.eval_every", "no rows are held back to look at", "say `data.eval_rows: 0.05`")
    if isinstance(recipe, SftRecipe):
        yield from _sft(recipe)
    else:
        yield from _preference(recipe)


def _changed(recipe: Any, keys: Mapping[str, str]) -> Iterator[Problem]:
    """A problem for each key whose value is not the default."""
    for key, why in keys.items():
        *path, last = key.split(".")
        section = recipe
        for word in path:
            section = getattr(section, word)
        field = type(section).model_fields[last]
        if getattr(section, last) != field.get_default(call_default_factory=True):
            yield Problem(key, f"the backend `trl` cannot do this: {why}", "leave it out, or train with `openrlhf`")


def _batch(batch: int, micro: int, key: str) -> Iterator[Problem]:
    if batch % micro:
        what = f"{batch} rows a step cannot be cut into micro-batches of {micro}"
        yield Problem("optimizer.micro_batch_size", what, f"{key} must be a multiple of it")


def _sft(recipe: SftRecipe) -> Iterator[Problem]:
    section = recipe.data.loss_weights
    if section != type(section)():
        what = "the backend `trl` cannot do this: TRL's loss has no weights of tokens"
        yield Problem("data.loss_weights", what, "leave it out, or train with `openrlhf`")


def _preference(recipe: PreferenceRecipe) -> Iterator[Problem]:
    section, fix = recipe.preference, "leave it out, or train with `openrlhf`"
    if section.loss == "ipo":
        what = "the backend `trl` cannot do this: TRL's ipo divides log-probabilities by the response's length"
        yield Problem("preference.loss", what, fix)
    if section.label_smoothing:
        what = "the backend `trl` cannot do this: TRL's dpo has none, its `robust` is another loss"
        yield Problem("preference.label_smoothing", what, fix)


def _rl(recipe: RlRecipe) -> Iterator[Problem]:
    algorithm, micro = recipe.algorithm, recipe.optimizer.micro_batch_size
    yield from _changed(recipe, RL_DEFAULTS_ONLY)
    if algorithm.name not in ALGORITHMS:
        what = f"the backend `trl` cannot do this: {algorithm.name} is not GRPO"
        yield Problem("algorithm.name", what, f"say {' or '.join(ALGORITHMS)}, or train with `openrlhf`")
    if algorithm.samples_per_prompt < 2:
        yield Problem("algorithm.samples_per_prompt", "GRPO compares the samples of a prompt", "say at least 2")
    samples = algorithm.prompts_per_step * algorithm.samples_per_prompt
    if samples % (algorithm.updates_per_step * micro):
        what = f"{samples} samples a step cannot be cut into {algorithm.updates_per_step} updates of micro-batches"
        yield Problem("optimizer.micro_batch_size", f"{what} of {micro}", "take numbers that divide them")
    if recipe.rollout.max_new_tokens >= recipe.max_len:
        what = f"{recipe.rollout.max_new_tokens} new tokens leave no room for a prompt in max_len {recipe.max_len}"
        yield Problem("rollout.max_new_tokens", what, "max_len counts prompt and response together")
    kl = algorithm.kl
    if kl.coef and (kl.place, kl.estimator) != ("loss", "k3"):
        key = "place" if kl.place != "loss" else "estimator"
        what = f"the backend `trl` cannot do this: TRL's KL is k3 in the loss, not {kl.estimator} in the {kl.place}"
        yield Problem(f"algorithm.kl.{key}", what, "say `place: loss` and `estimator: k3`, or train with `openrlhf`")
