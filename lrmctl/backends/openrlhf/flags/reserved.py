"""OpenRLHF flags that `backend.flags` may not set, because a recipe key or lrmctl itself sets them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from lrmctl.backends.openrlhf.flags.offline import OFFLINE_RECIPE_KEYS
from lrmctl.backends.openrlhf.flags.preference import PREFERENCE_RECIPE_KEYS
from lrmctl.backends.openrlhf.flags.rl import RL_RECIPE_KEYS

_KEYS: Mapping[str, str] = {
    "train.seed": "seed",
    "data.max_len": "max_len",
    "train.micro_batch_size": "optimizer.micro_batch_size",
    "ds.zero_stage": "optimizer.zero_stage",
    "ds.param_dtype": "backend.dtype",
    "ds.adam_offload": "optimizer.offload",
    "ds.packing_samples": "optimizer.packing",
    "ds.ring_attn_size": "optimizer.sequence_parallel",
    "ds.lora.target_modules": "optimizer.lora.targets",
    **{f"ds.lora.{name}": f"optimizer.lora.{name}" for name in ("rank", "alpha", "dropout")},
}
_OWN = "lrmctl sets this one itself"
_RENDERED = "lrmctl renders the data itself"


def _set_in_recipe(keys: Mapping[str, str]) -> dict[str, str]:
    """A message for each flag that has a recipe key."""
    return {flag: f"say it in the recipe: {key}" for flag, key in keys.items()}


_SHARED: Mapping[str, str] = {
    **_set_in_recipe(_KEYS),
    "logger.wandb.key": "a key on the command line can be read by every user of the machine",
    "ckpt.load_enable": "use `lrmctl train --resume`",
    **dict.fromkeys(("ckpt.path", "ckpt.output_dir", "logger.tensorboard_dir", "logger.wandb.run_name"), _OWN),
    **dict.fromkeys(("data.input_key", "data.input_template", "data.max_samples", "local_rank", "use_ms"), _OWN),
    "data.apply_chat_template": _RENDERED,
}
RESERVED: Mapping[Literal["sft", "preference", "rl"], Mapping[str, str]] = {
    "sft": {
        **_SHARED,
        **_set_in_recipe(OFFLINE_RECIPE_KEYS),
        **dict.fromkeys(("data.output_key", "data.multiturn", "data.tokenizer_chat_template"), _RENDERED),
        "model.pretrain_mode_enable": _RENDERED,
    },
    "preference": {
        **_SHARED,
        **_set_in_recipe(OFFLINE_RECIPE_KEYS),
        **_set_in_recipe(PREFERENCE_RECIPE_KEYS),
        **dict.fromkeys(("data.prompt_key", "data.chosen_key", "data.rejected_key"), _RENDERED),
        "data.tokenizer_chat_template": _RENDERED,
        "ref.model_name_or_path": "the reference is the model that the run starts from",
    },
    "rl": {
        **_SHARED,
        **_set_in_recipe(RL_RECIPE_KEYS),
        "data.label_key": _RENDERED,
        "reward.normalize_enable": "it normalises only what OpenRLHF's own reward model says, and rewards come from a "
        "service; say it in the recipe: reward.normalise: kind",
        "train.agent_func_path": "rewards go through lrmctl's reward service, which the agent route does not call",
        "ds.lora.rank": "OpenRLHF 0.11 fails at the first weight broadcast with LoRA in RL",
    },
}
"""By kind of recipe: flag -> what to do instead, or why not."""
