"""Limits a recipe's default lengths to the model's maximum positions.

Reads the model's configuration if it is on this machine; downloads nothing.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from lrmctl.errors import LrmctlError
from lrmctl.recipe.load import LoadedRecipe
from lrmctl.recipe.problems import Problem
from lrmctl.recipe.schema.recipes import OfflineRecipe, RlRecipe
from lrmctl.runs.names import named_run, runs_folder


def fit_lengths(loaded: LoadedRecipe, runs_dir: Path | None = None) -> LoadedRecipe:
    """Reduce default lengths to what the model supports; explicitly set lengths are not changed."""
    recipe: Any = loaded.recipe
    longest = positions(loaded, runs_dir)
    if longest is None:
        return loaded
    overrides: dict[str, Any] = {}
    for key, value in _lengths(recipe).items():
        if not loaded.is_set(*key.split(".")) and value > longest:
            overrides[key] = longest
    most = overrides.get("max_len", getattr(recipe, "max_len", longest))
    unsaid = isinstance(recipe, RlRecipe) and not loaded.is_set("rollout", "max_new_tokens")
    if unsaid and recipe.rollout.max_new_tokens >= most:
        overrides["rollout.max_new_tokens"] = most // 2
    return loaded.override(overrides, "the model's positions") if overrides else loaded


def position_problems(loaded: LoadedRecipe, runs_dir: Path | None = None) -> list[Problem]:
    """Explicitly set lengths that exceed the model's maximum."""
    longest = positions(loaded, runs_dir)
    return [
        Problem(key, f"{value} tokens are more than the model's {longest}", f"say at most {longest}, or leave it out")
        for key, value in _lengths(loaded.recipe).items()
        if longest is not None and value > longest
    ]


def positions(loaded: LoadedRecipe, runs_dir: Path | None = None) -> int | None:
    """Maximum positions of the recipe's model; None if it is not on this machine or does not declare them."""
    model = getattr(loaded.recipe, "model", None)
    if not isinstance(loaded.recipe, (OfflineRecipe, RlRecipe)) or not isinstance(model, str):
        return None
    try:
        folder = _folder(model, runs_dir or runs_folder())
        config = json.loads((folder / "config.json").read_text(encoding="utf-8")) if folder else {}
    except (LrmctlError, OSError, ValueError, RuntimeError):  # loading the model reports the error
        return None
    config = config.get("text_config") or config
    found = config.get("max_position_embeddings")
    return found if isinstance(found, int) and found > 0 else None


def _folder(model: str, runs_dir: Path) -> Path | None:
    from lrmctl.models import is_hub_id
    from lrmctl.models.availability import hub_snapshot
    from lrmctl.models.shipped import base_path

    if model == "lab:tiny":
        return base_path()
    if model.startswith("run:"):
        return runs_dir / named_run(model) / "model"
    return hub_snapshot(model) if is_hub_id(model) else Path(model).expanduser()


def _lengths(recipe: Any) -> dict[str, int]:
    if isinstance(recipe, RlRecipe):
        return {"max_len": recipe.max_len}
    return {"data.max_len": recipe.data.max_len} if isinstance(recipe, OfflineRecipe) else {}
