"""The launcher that a recipe's `launch:` section asks for: a built-in one, or that of a plugin."""

from __future__ import annotations

import inspect
import os
from collections.abc import Mapping
from typing import Any

from lrmctl._util.accelerators import IN_RAY_JOB
from lrmctl.backends.launch.base import Launcher
from lrmctl.errors import NotFoundError, PluginError, RecipeError
from lrmctl.hooks import registry
from lrmctl.hooks.manager import PluginEntry

GROUP = "launcher"
_OWN_KEYS = ("address", "setup")
"""Keys of the section that are arguments of the launchers that have them, beside `options:`."""


def launcher(section: Mapping[str, Any]) -> Launcher:
    """The launcher of a `launch:` section (as JSON), or of the record of a job; an empty section means this machine.

    Raises:
        RecipeError: an option that it does not take.
        NotFoundError, PluginError: no plugin registers the name, or what it makes is no launcher.
    """
    via = str(section.get("via") or "local")
    made = registry.make(GROUP, via, **_arguments(registry.find(GROUP, via), section))
    if not isinstance(made, Launcher):
        what = f"the launcher {via!r} is a {type(made).__name__}, not a lrmctl.backends.launch.Launcher"
        raise PluginError(what, "launch.via", "derive it from lrmctl.backends.launch.Launcher")
    return made


def check_launch(section: Mapping[str, Any], nodes: int = 1) -> PluginEntry:
    """Check a `launch:` section without starting anything.

    Args:
        nodes: that the recipe's job needs.

    Raises:
        RecipeError: an option that the launcher does not take, or more nodes than it can start a job on.
        NotFoundError: no plugin registers the name.
    """
    via = str(section.get("via") or "local")
    try:
        entry = registry.find(GROUP, via)
    except NotFoundError as error:
        fix = f"{error.fix}; one of a plugin needs its package: pip install PACKAGE"
        raise NotFoundError(error.what, error.where, fix) from error
    arguments = _arguments(entry, section)
    for key in _OWN_KEYS:
        if section.get(key) and not entry.builtin and key not in arguments:
            raise RecipeError(
                f"the launcher {via!r} has no {key}", f"launch.{key}", "leave it out; see `launch.options`"
            )
    registry.check(GROUP, via, arguments)
    if nodes > 1 and not entry.builtin and not launcher(section).several_nodes:
        what = f"the launcher {via!r} starts jobs on one node, and the recipe has {nodes}"
        raise RecipeError(what, "layout.nodes", "--launch slurm, or --launch ray")
    return entry


def job_record(section: Mapping[str, Any], found: Mapping[str, Any]) -> dict[str, Any]:
    """The record of a job with what makes its launcher again: all that a later process needs to ask about the job."""
    entry = registry.find(GROUP, str(section.get("via") or "local"))
    made_of = {key: section[key] for key in ("via", *_OWN_KEYS, "options") if section.get(key)}
    plugin = {} if entry.builtin else {"plugin": f"{entry.distribution} {entry.version}".strip()}
    return {**made_of, **plugin, **found}


def ray_launcher(*, address: str | None = None, **runtime_env: Any) -> Launcher:
    """Jobs of the cluster; within one of them, processes of the job itself."""
    if os.environ.get(IN_RAY_JOB):
        from lrmctl.backends.launch.local import InRayJob

        return InRayJob()
    from lrmctl.backends.launch.ray import RayJobs

    return RayJobs(address=address, **runtime_env)


def _arguments(entry: PluginEntry, section: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of the factory. This machine has none: `options:` are those of where else the recipe runs."""
    if (entry.builtin, entry.name) == (True, "local"):
        return {}
    own = {key: section[key] for key in _OWN_KEYS if section.get(key) and key in _parameters(entry)}
    return {**own, **(section.get("options") or {})}


def _parameters(entry: PluginEntry) -> Mapping[str, inspect.Parameter]:
    try:
        return inspect.signature(entry.factory).parameters
    except (TypeError, ValueError):  # some C callables have none
        return {}
