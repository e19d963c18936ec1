"""OpenRLHF's flags that SFT and preference recipes share: those that follow from the recipe alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lrmctl.backends.openrlhf import common
from lrmctl.recipe.schema.recipes import OfflineRecipe

OFFLINE_RECIPE_KEYS: Mapping[str, str] = {
    "model.model_name_or_path": "model",
    "train.batch_size": "train.batch_size",
    "train.max_epochs": "train.epochs",
    "adam.lr": "optimizer.learning_rate",
    "adam.betas": "optimizer.betas",
    "adam.weight_decay": "optimizer.weight_decay",
    "lr_warmup_ratio": "optimizer.warmup_ratio",
    "lr_scheduler": "optimizer.schedule",
    "min_lr_ratio": "optimizer.min_lr_ratio",
    "max_norm": "optimizer.max_grad_norm",
    "model.gradient_checkpointing_enable": "optimizer.gradient_checkpointing",
    "ckpt.save_steps": "save_every",
    "eval.steps": "train.eval_every",
    "eval.dataset": "data.eval_rows",
    "data.dataset": "data.sources",
}
"""OpenRLHF's flags that have a recipe key, with the key."""


def shared_flags(recipe: OfflineRecipe, target: common.ComputeTarget) -> dict[str, Any]:
    """OpenRLHF's flags for what SFT and preference recipes have in common, on a device."""
    return {
        "data.max_len": recipe.data.max_len,
        "train.max_epochs": recipe.train.epochs,
        "train.batch_size": recipe.train.batch_size,
        "train.seed": recipe.seed,
        **common.optimizer_flags(recipe.optimizer, target, ""),
        "model.gradient_checkpointing_enable": target.device == "cuda" and recipe.optimizer.gradient_checkpointing,
        "ckpt.save_steps": recipe.save_every,
        "eval.steps": recipe.train.eval_every if recipe.data.eval_rows else None,
    }
