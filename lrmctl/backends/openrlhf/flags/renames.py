"""OpenRLHF's flags under the names of other versions, so that an old command line can be said anew.

Version 0.10.2 gave every flag another name; importance sampling was renamed once more in 0.11.2. The pairs are what
`tools/openrlhf_snapshots.py --renames` finds in the parsers; where it finds several candidates or none, the meaning in
the source decided. A flag that is only written with underscores for dots needs no entry.
"""

from __future__ import annotations

from collections.abc import Mapping

from lrmctl._util.suggest import did_you_mean
from lrmctl.backends.openrlhf.flags.parser import Program, known

_BOTH: Mapping[str, str] = {
    "save_path": "ckpt.output_dir",
    "save_steps": "ckpt.save_steps",
    "save_hf_ckpt": "ckpt.save_hf",
    "disable_ds_ckpt": "ckpt.disable_ds",
    "max_ckpt_num": "ckpt.max_num",
    "max_ckpt_mem": "ckpt.max_mem",
    "load_checkpoint": "ckpt.load_enable",
    "use_ds_universal_ckpt": "ds.use_universal_ckpt",
    "logging_steps": "logger.logging_steps",
    "use_wandb": "logger.wandb.key",
    "wandb_org": "logger.wandb.org",
    "wandb_group": "logger.wandb.group",
    "wandb_project": "logger.wandb.project",
    "wandb_run_name": "logger.wandb.run_name",
    "use_tensorboard": "logger.tensorboard_dir",
    "micro_train_batch_size": "train.micro_batch_size",
    "max_epochs": "train.max_epochs",
    "seed": "train.seed",
    "full_determinism": "train.full_determinism_enable",
    "zero_stage": "ds.zero_stage",
    "deepcompile": "ds.deepcompile",
    "param_dtype": "ds.param_dtype",
    "bf16": "ds.param_dtype",
    "zpg": "ds.zpg",
    "adam_offload": "ds.adam_offload",
    "attn_implementation": "ds.attn_implementation",
    "flash_attn": "ds.attn_implementation",
    "use_liger_kernel": "ds.use_liger_kernel",
    "grad_accum_dtype": "ds.grad_accum_dtype",
    "overlap_comm": "ds.overlap_comm",
    "packing_samples": "ds.packing_samples",
    "ring_head_stride": "ds.ring_attn_head_stride",
    "ring_attn_size": "ds.ring_attn_size",
    "load_in_4bit": "ds.load_in_4bit",
    "lora_rank": "ds.lora.rank",
    "lora_alpha": "ds.lora.alpha",
    "lora_dropout": "ds.lora.dropout",
    "target_modules": "ds.lora.target_modules",
    "disable_fast_tokenizer": "data.disable_fast_tokenizer",
    "dataloader_num_workers": "data.dataloader_num_workers",
    "max_len": "data.max_len",
    "max_samples": "data.max_samples",
    "input_key": "data.input_key",
    "input_template": "data.input_template",
    "apply_chat_template": "data.apply_chat_template",
}

_RL: Mapping[str, str] = {
    "pretrain": "actor.model_name_or_path",
    "critic_pretrain": "critic.model_name_or_path",
    "reward_pretrain": "reward.model_name_or_path",
    "remote_rm_url": "reward.remote_url",
    "ref_reward_offload": "ref.offload",
    "value_head_prefix": "ds.value_head_prefix",
    "colocate_actor_ref": "train.colocate_actor_ref",
    "colocate_critic_reward": "train.colocate_critic_reward",
    "colocate_all_models": "train.colocate_all",
    "enable_prefix_caching": "vllm.enable_prefix_caching",
    "enforce_eager": "vllm.enforce_eager",
    "deepspeed_enable_sleep": "ds.enable_sleep",
    "async_train": "train.async_enable",
    "async_queue_size": "train.async_queue_size",
    "partial_rollout": "train.partial_rollout_enable",
    "agent_func_path": "train.agent_func_path",
    "use_dynamic_batch": "train.dynamic_batch_enable",
    "enable_ema": "train.enable_ema",
    "ema_beta": "train.ema_beta",
    "num_episodes": "train.num_episodes",
    "best_metric_key": "ckpt.best_metric_key",
    "micro_rollout_batch_size": "rollout.micro_batch_size",
    "vllm_generate_batch_size": "rollout.vllm_generate_batch_size",
    "n_samples_per_prompt": "rollout.n_samples_per_prompt",
    "max_new_tokens": "rollout.max_new_tokens",
    "generate_max_len": "rollout.max_new_tokens",
    "prompt_max_len": "data.max_len",
    "temperature": "rollout.temperature",
    "top_p": "rollout.top_p",
    "gradient_checkpointing": "actor.gradient_checkpointing_enable",
    "gradient_checkpointing_use_reentrant": "actor.gradient_checkpointing_reentrant",
    "actor_learning_rate": "actor.adam.lr",
    "critic_learning_rate": "critic.adam.lr",
    "lr_warmup_ratio": "actor.lr_warmup_ratio",
    "lr_scheduler": "actor.lr_scheduler",
    "adam_betas": "actor.adam.betas",
    "l2": "actor.adam.weight_decay",
    "max_norm": "actor.max_norm",
    "eps_clip": "actor.eps_clip",
    "eps_clip_low_high": "actor.eps_clip_low_high",
    "dual_clip": "actor.dual_clip",
    "policy_loss_type": "actor.policy_loss_type",
    "entropy_loss_coef": "actor.entropy_coef",
    "aux_loss_coef": "actor.aux_loss_coef",
    "freeze_visual_encoder": "actor.freeze_visual_encoder",
    "value_clip": "critic.value_clip",
    "freezing_actor_steps": "critic.freezing_steps",
    "save_value_network": "critic.save_value_network",
    "lambd": "algo.advantage.lambd",
    "gamma": "algo.advantage.gamma",
    "advantage_estimator": "algo.advantage.estimator",
    "no_advantage_std_norm": "algo.advantage.no_std_norm",
    "enable_vllm_is_correction": "algo.advantage.is_correction_level",
    "algo.advantage.is_correction_enable": "algo.advantage.is_correction_level",
    "vllm_is_correction_type": "algo.advantage.is_correction_mode",
    "algo.advantage.is_correction_type": "algo.advantage.is_correction_mode",
    "vllm_is_truncated_threshold": "algo.advantage.is_correction_threshold",
    "init_kl_coef": "algo.kl.init_coef",
    "kl_target": "algo.kl.target",
    "kl_horizon": "algo.kl.horizon",
    "kl_estimator": "algo.kl.estimator",
    "use_kl_loss": "algo.kl.use_loss",
    "dynamic_filtering": "algo.dynamic_filtering_enable",
    "dynamic_filtering_reward_range": "algo.dynamic_filtering_range",
    "normalize_reward": "reward.normalize_enable",
    "overlong_buffer_len": "reward.overlong_buffer_len",
    "overlong_penalty_factor": "reward.overlong_penalty_factor",
    "stop_properly_penalty_coef": "reward.stop_properly_penalty_coef",
    "prompt_data": "data.prompt_dataset",
    "prompt_data_probs": "data.prompt_probs",
    "prompt_split": "data.prompt_split",
    "label_key": "data.label_key",
    "image_key": "data.image_key",
    "max_images_per_prompt": "data.max_images_per_prompt",
}

_SFT: Mapping[str, str] = {
    "pretrain": "model.model_name_or_path",
    "pretrain_mode": "model.pretrain_mode_enable",
    "gradient_checkpointing": "model.gradient_checkpointing_enable",
    "gradient_checkpointing_use_reentrant": "model.gradient_checkpointing_reentrant",
    "aux_loss_coef": "model.aux_loss_coef",
    "learning_rate": "adam.lr",
    "adam_betas": "adam.betas",
    "l2": "adam.weight_decay",
    "dataset": "data.dataset",
    "dataset_probs": "data.dataset_probs",
    "dataset_split": "data.dataset_split",
    "train_split": "data.dataset_split",
    "output_key": "data.output_key",
    "multiturn": "data.multiturn",
    "tokenizer_chat_template": "data.tokenizer_chat_template",
}

DROPPED: Mapping[Program, Mapping[str, str]] = {
    "train_ppo_ray": {
        "actor_init_on_gpu": "weights are loaded where DeepSpeed wants them; leave it out",
        "ptx_coef": "mixing a pretraining loss into RL is gone; leave it out",
        "perf": "timings are logged always; leave it out",
    },
    "train_sft": {},
}
"""Flags that no later version has in any form."""

OLD_NAMES: Mapping[Program, Mapping[str, str]] = {
    "train_ppo_ray": {**_BOTH, **_RL},
    "train_sft": {**_BOTH, **_SFT},
}
"""Old name -> name in the newest known version, both without dashes."""


def new_name(program: Program, flag: str) -> str | None:
    """Today's name of an old flag, with or without dashes; None if it is not known.

    Covers names that differ in dots and underscores only, such as `--vllm_num_engines`.
    """
    name = flag.lstrip("-")
    if name in OLD_NAMES[program]:
        return OLD_NAMES[program][name]
    flat = {k.replace(".", "_"): k for k in known(program)}
    return flat.get(name.replace(".", "_").replace("-", "_"))


def instead_of(program: Program, flag: str, words: Mapping[str, str]) -> tuple[str, str]:
    """What is wrong with a flag that OpenRLHF does not have, and what to write.

    Args:
        words: flag -> the recipe's own word for it, or why it is not free.
    """
    name = flag.lstrip("-")
    if name in (names := known(program)):
        return f"the flag {flag!r} is written with dashes", words.get(name, f"write {name!r}")
    if reason := DROPPED[program].get(name):
        return f"OpenRLHF has no flag {flag!r} any more", reason
    if new := new_name(program, flag):
        return f"OpenRLHF's flag {flag!r} is called {new!r} now", words.get(new, f"write {new!r}")
    longer = [n for n in names if n.startswith(name)]
    if longer and name:
        return f"{flag!r} is not a whole flag of OpenRLHF", did_you_mean(name, longer)
    return f"OpenRLHF has no flag {flag!r}", did_you_mean(name, names)
