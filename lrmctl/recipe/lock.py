"""`lock.json` records what exactly ran: the resolved recipe, its hash, and all versions involved."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lrmctl._util.installed import versions_of
from lrmctl.errors import LrmctlError
from lrmctl.hooks import registry
from lrmctl.recipe.function_ref import fingerprints
from lrmctl.recipe.load import LoadedRecipe
from lrmctl.recipe.named_plugins import named_plugins
from lrmctl.recipe.yaml import walk
from lrmctl.runs.writing import write_json

NOT_HASHED = ("launch", "model", "trackers", "requires")
_PACKAGES = ("lrmctl", "torch", "transformers", "openrlhf", "ray", "deepspeed", "lm-eval", "math-verify", "datasets")


def recipe_hash(loaded: LoadedRecipe) -> str:
    """sha256 of the resolved recipe, defaults included, so that equivalent recipes have the same hash.

    Excludes where the job runs (`launch`), where the model is stored (`model`; its fingerprint is locked separately),
    who is told (`trackers`) and what must be installed (`requires`; the lock has the versions that were), so that a run
    can be resumed elsewhere.
    """
    settings = {key: value for key, value in loaded.resolved.items() if key not in NOT_HASHED}
    text = json.dumps(settings, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def versions() -> dict[str, str | None]:
    """Installed versions, without importing the packages; None if not installed."""
    return versions_of(*_PACKAGES)


def plugin_versions(loaded: LoadedRecipe) -> dict[str, str]:
    """Third-party distributions that this recipe uses -> version."""
    used: dict[str, str] = {}
    for group, name in (*((n.group, n.name) for n in named_plugins(loaded)), *_thinking_formats(loaded)):
        try:
            entry = registry.find(group, name)
        except LrmctlError:  # creating the plugin raises this error; the lock only records versions
            continue
        if not entry.builtin:
            used[entry.distribution] = entry.version
    return used


def _thinking_formats(loaded: LoadedRecipe) -> Iterator[tuple[str, str]]:
    """The formats that `thinking:` names; others are markers, or `off`."""
    for path, value in walk(loaded.resolved):
        if path[-1:] == ("thinking",) and isinstance(value, str) and value != "off":
            yield "thinking-format", value


def make_lock(loaded: LoadedRecipe, **facts: Any) -> dict[str, Any]:
    """The content of a lock file; `facts` are added by the caller (template hash, dtype, fingerprint, ...)."""
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
    """Write the lock file atomically and return its content."""
    lock = make_lock(loaded, **facts)
    write_json(path, lock)
    return lock
