"""The options in `backend.flags`: fields of TRL's own configuration classes, checked by the parser that TRL uses."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from typing import Any, NoReturn

from lrmctl.backends import PreferenceRecipe, Problem, RlRecipe, SftRecipe

CONFIGS = {"sft": "SFTConfig", "preference": "DPOConfig", "rl": "GRPOConfig"}

OF_RECIPE: Mapping[str, str] = {
    "seed": "seed",
    "data_seed": "seed",
    "learning_rate": "optimizer.learning_rate",
    "adam_beta1": "optimizer.betas",
    "adam_beta2": "optimizer.betas",
    "weight_decay": "optimizer.weight_decay",
    "max_grad_norm": "optimizer.max_grad_norm",
    "lr_scheduler_type": "optimizer.schedule",
    "lr_scheduler_kwargs": "optimizer.min_lr_ratio",
    "warmup_steps": "optimizer.warmup_ratio",
    "warmup_ratio": "optimizer.warmup_ratio",
    "per_device_train_batch_size": "optimizer.micro_batch_size",
    "per_device_eval_batch_size": "optimizer.micro_batch_size",
    "gradient_accumulation_steps": "optimizer.micro_batch_size",
    "gradient_checkpointing": "optimizer.gradient_checkpointing",
    "bf16": "backend.dtype",
    "fp16": "backend.dtype",
    "use_cpu": "backend.device",
    "save_steps": "save_every",
    "save_strategy": "save_every",
    "trust_remote_code": "trust_remote_code",
}
_OFFLINE = {
    "num_train_epochs": "train.epochs",
    "eval_steps": "train.eval_every",
    "eval_strategy": "train.eval_every",
    "max_length": "data.max_len",
}
_OF_KIND: Mapping[str, Mapping[str, str]] = {
    "sft": _OFFLINE,
    "preference": {
        **_OFFLINE,
        "beta": "preference.beta",
        "loss_type": "preference.loss",
        "loss_weights": "preference.nll_weight",
        "label_smoothing": "preference.label_smoothing",
    },
    "rl": {
        "max_steps": "algorithm.steps",
        "num_generations": "algorithm.samples_per_prompt",
        "generation_batch_size": "algorithm.prompts_per_step",
        "steps_per_generation": "algorithm.updates_per_step",
        "num_iterations": "algorithm.epochs_per_step",
        "epsilon": "algorithm.clip_low",
        "epsilon_high": "algorithm.clip_high",
        "delta": "algorithm.dual_clip",
        "beta": "algorithm.kl.coef",
        "entropy_coef": "algorithm.entropy_coef",
        "loss_type": "algorithm.aggregation",
        "importance_sampling_level": "algorithm.loss",
        "scale_rewards": "algorithm.name",
        "max_completion_length": "rollout.max_new_tokens",
        "temperature": "rollout.temperature",
        "top_p": "rollout.top_p",
        "reward_weights": "reward.components",
    },
}
"""Fields that have a recipe key, with the key."""
OWN = frozenset(
    (
        *("output_dir", "logging_dir", "logging_steps", "logging_strategy", "logging_first_step", "report_to"),
        *("save_total_limit", "save_only_model", "load_best_model_at_end", "resume_from_checkpoint", "disable_tqdm"),
        *("push_to_hub", "hub_model_id", "hub_token", "log_completions_hub_repo", "run_name", "shuffle_dataset"),
        *("remove_unused_columns", "use_vllm", "deepspeed", "fsdp", "fsdp_config", "packing", "padding_free"),
        *("auto_find_batch_size", "max_steps", "dataset_kwargs", "generation_kwargs", "model_init_kwargs"),
    )
)
"""Fields that this backend sets itself, or that would change what a run is, such as vLLM's."""
_OURS = "this backend sets it, or cannot do without its default"


def option_problems(recipe: SftRecipe | PreferenceRecipe | RlRecipe) -> list[Problem]:
    """Problems of `backend.flags`; a note if TRL is not installed, so that nobody can tell."""
    given = recipe.backend.flags
    if not given:
        return []
    if find_spec("trl") is None:
        what = "TRL is not installed, so that its options were not checked"
        return [Problem("backend.flags", what, "pip install lrmctl-trl", note=True)]
    known = _fields(recipe.kind)
    keys = {**OF_RECIPE, **_OF_KIND[recipe.kind]}
    return [problem for name, value in given.items() for problem in _of_one(recipe.kind, name, value, known, keys)]


def _of_one(kind: str, name: str, value: Any, known: set[str], keys: Mapping[str, str]) -> Iterator[Problem]:
    key = f"backend.flags.{name}"
    if name not in known:
        close = difflib.get_close_matches(name, known, 1)
        fix = f"did you mean {close[0]!r}?" if close else f"its fields are those of trl.{CONFIGS[kind]}"
        yield Problem(key, f"{CONFIGS[kind]} of TRL has no field {name!r}", fix)
    elif name in keys:
        yield Problem(key, f"the recipe has a key for {name!r}", f"say it as `{keys[name]}`")
    elif name in OWN:
        yield Problem(key, f"the field {name!r} is not free: {_OURS}", "leave it out")
    elif reason := _refusal(kind, name, value):
        yield Problem(key, f"TRL does not take this value: {reason}")


def _config(kind: str) -> Any:
    import trl

    return getattr(trl, CONFIGS[kind])


def _fields(kind: str) -> set[str]:
    from dataclasses import fields

    return {field.name for field in fields(_config(kind)) if field.init}


class _RefusedError(Exception):
    """What argparse says instead of ending the process."""


def _refusal(kind: str, name: str, value: Any) -> str:
    """Why TRL's parser does not take a value; empty if it does."""
    if value is None:
        return ""
    try:
        _parse(kind, {name: value})
    except _RefusedError as error:
        return str(error).partition(": ")[2]
    return ""


def parsed_options(kind: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """The options as TRL's parser types them.

    Args:
        given: options without problems.
    """
    nothing = {name: None for name, value in given.items() if value is None}
    return nothing | _parse(kind, {name: value for name, value in given.items() if value is not None})


def _parse(kind: str, given: Mapping[str, Any]) -> dict[str, Any]:
    from transformers import HfArgumentParser

    class Parser(HfArgumentParser):
        def error(self, message: str) -> NoReturn:
            raise _RefusedError(message)

    words: list[str] = []
    for name, value in given.items():
        several = value if isinstance(value, list) else [value]
        words += [f"--{name}", *(json.dumps(one) if isinstance(one, dict) else str(one) for one in several)]
    found = vars(Parser((_config(kind),), allow_abbrev=False).parse_args(words))
    return {name: given[name] if isinstance(given[name], dict) else found[name] for name in given}
