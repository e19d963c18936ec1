"""Constraints of a layout on the model: attention heads cannot be split. Reads the model's configuration only."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lrmctl.recipe.problems import Problem
from lrmctl.recipe.schema.recipes import OfflineRecipe, RlRecipe


def model_problems(recipe: OfflineRecipe | RlRecipe, model: Path, read: Mapping[str, Any]) -> list[Problem]:
    """Problems; none if the model's configuration is missing or does not state its heads.

    Args:
        read: the flags as OpenRLHF parses them.
    """
    from lrmctl.models import config_folder

    heads, shared = _heads((config_folder(model) if model.is_dir() else model) / "config.json")
    found = []
    engines = recipe.layout.tensor_parallel
    if isinstance(recipe, RlRecipe) and heads and (heads % engines or (shared % engines and engines % shared)):
        what = f"{heads} attention heads ({shared} of keys and values) cannot be dealt to {engines} GPUs of an engine"
        found.append(Problem("layout.tensor_parallel", what, "say a number that divides both"))
    stride = read["ds.ring_attn_head_stride"]
    if recipe.optimizer.sequence_parallel > 1 and shared and shared % stride:
        what = f"{shared} heads of keys and values cannot be taken {stride} at a time"
        found.append(Problem("backend.flags.ds.ring_attn_head_stride", what, f"say a divisor of {shared}"))
    return found


def _heads(file: Path) -> tuple[int, int]:
    """Number of attention heads and of key-value heads; zeros if unknown."""
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return 0, 0
    config = config.get("text_config") or config
    heads = config.get("num_attention_heads") or 0
    return heads, config.get("num_key_value_heads") or heads
