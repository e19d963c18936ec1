"""`lock.json`: what exactly ran. The resolved recipe, its hash, and the version of everything that took part."""

from __future__ import annotations

import hashlib
import json
import platform
from importlib import metadata
from pathlib import Path
from typing import Any

from lrmctl.errors import LrmctlError
from lrmctl.hooks import registry
from lrmctl.recipe.function_ref import fingerprints
from lrmctl.recipe.load import LoadedRecipe
from lrmctl.recipe.named_plugins import named_plugins
from lrmctl.runs.writing import write_json

_PACKAGES = ("lrmctl", "torch", "transformers", "openrlhf", "ray", "deepspeed", "lm-eval", "math-verify", "datasets")


def recipe_hash(loaded: LoadedRecipe) -> str:
    """sha256 of the resolved recipe, defaults included; the same for any spelling of the same recipe.

    Where the job runs (`launch`) and where the model's folder lies (`model`; its fingerprint is locked by itself) are
    not part of it, so that a run can go on elsewhere.
    """
    settings = {key: value for key, value in loaded.resolved.items() if key not in ("launch", "model")}
    text = json.dumps(settings, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def versions() -> dict[str, str | None]:
    """Installed versions, without importing anything; None for what is not installed."""
    found: dict[str, str | None] = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = None
    return found


def plugin_versions(loaded: LoadedRecipe) -> dict[str, str]:
    """Other people's distributions that this recipe uses -> version."""
    used: dict[str, str] = {}
    for named in named_plugins(loaded):
        try:
            entry = registry.find(named.group, named.name)
        except LrmctlError:  # whoever makes the plugin will say so; a lock only records
            continue
        if not entry.builtin:
            used[entry.distribution] = entry.version
    return used


def make_lock(loaded: LoadedRecipe, **facts: Any) -> dict[str, Any]:
    """The content of a lock file; `facts` are the caller's own (template hash, dtype, fingerprint, ...)."""
    return {
        "recipe": loaded.resolved,
        "recipe_sha256": recipe_hash(loaded),
        "recipe_file": str(loaded.path),
        "recipe_on": str(loaded.on) if loaded.on else None,
        "sets": list(loaded.sets),
        "versions": versions(),
        "plugins": plugin_versions(loaded),
        "functions": fingerprints(loaded.resolved),
        **facts,
    }


def write_lock(path: Path, loaded: LoadedRecipe, **facts: Any) -> dict[str, Any]:
    """Write the lock file, whole or not at all, and return its content."""
    lock = make_lock(loaded, **facts)
    write_json(path, lock)
    return lock
