"""Loads one plugin: all that it registers, or an exception that says why it cannot be used.

Each plugin has its own pluggy manager. When which plugins load, and what becomes of one that fails, is for
`third_party`; conflicts between names are resolved in `registry`.
"""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache, partial
from typing import Any

import pluggy

from lrmctl._util.suggest import did_you_mean
from lrmctl.errors import PluginError
from lrmctl.hooks import builtins, specs
from lrmctl.hooks.calls import trace_call, trace_hooks
from lrmctl.hooks.distributions import Candidate
from lrmctl.hooks.isolation import contained

GROUPS = {
    "reward": "lrmctl_rewards",
    "judge": "lrmctl_judges",
    "benchmark": "lrmctl_benchmarks",
    "reasoning-task": "lrmctl_reasoning_tasks",
    "source": "lrmctl_sources",
    "backend": "lrmctl_backends",
    "launcher": "lrmctl_launchers",
    "thinking-format": "lrmctl_thinking_formats",
    "lexicon": "lrmctl_lexicons",
    "doctor-check": "lrmctl_doctor_checks",
    "tracker": "lrmctl_trackers",
    "recipe": "lrmctl_recipes",
    "analysis": "lrmctl_analyses",
    "engine": "lrmctl_engines",
}
_PREFIX = "lrmctl_"
_TARGET = re.compile(r"[\w.]+:[\w.]+")
_NAME = re.compile(r"[a-z0-9]+([-_/:.][a-z0-9]+)*")


@dataclass(frozen=True)
class PluginEntry:
    """One registered name.

    Attributes:
        group: one of `GROUPS`, e.g. `reward`.
        distribution, version: the installed distribution that registered it (`lrmctl` for built-ins).
        source: the factory, or the import path of one that is imported when first needed.
    """

    name: str
    group: str
    summary: str
    distribution: str
    builtin: bool
    version: str = ""
    source: Callable[..., Any] | specs.LazyFactory = field(default=dict, repr=False, compare=False)

    @property
    def factory(self) -> Callable[..., Any]:
        """Called with the recipe's options.

        Raises:
            PluginError: it cannot be imported.
        """
        if not isinstance(self.source, specs.LazyFactory):
            return self.source
        if self.builtin:
            return _loaded(self.source)
        interrupted: list[int] = []
        try:
            with contained(interrupted), trace_call(f"import {self.source.target}", self.distribution):
                return _loaded(self.source)
        except BaseException as error:  # a plugin may raise anything; it must not end the command
            if interrupted:
                raise
            what = f"{self.group} {self.name!r} of {self.distribution} could not be loaded"
            raise PluginError(f"{what}: {type(error).__name__}: {error}") from error

    def to_json(self) -> dict[str, Any]:
        return {key: value for key, value in vars(self).items() if key != "source"}


@cache
def _loaded(source: specs.LazyFactory) -> Callable[..., Any]:
    return source.load()


@dataclass(frozen=True)
class PluginProblem:
    """Why a plugin, or one of its names, cannot be used.

    Attributes:
        loading: it may only be slow: it still loads.
    """

    distribution: str
    error: str
    loading: bool = False

    def __str__(self) -> str:
        return f"{self.distribution}: {self.error}"

    @property
    def sentence(self) -> str:
        """For the user, beside a list of what has loaded."""
        return f"{'not loaded yet' if self.loading else 'not usable'}: {self}"


@dataclass(frozen=True)
class LoadedPlugins:
    """The result of loading some plugins."""

    entries: tuple[PluginEntry, ...]
    problems: tuple[PluginProblem, ...]
    left_out: tuple[str, ...] = ()
    """Distributions that `LRMCTL_PLUGINS` leaves out."""


def load_builtins() -> LoadedPlugins:
    """lrmctl's own plugins."""
    from lrmctl._util.version import __version__

    entries: list[PluginEntry] = []
    for module in builtins.MODULES:
        entries += register_plugin(
            Candidate("lrmctl", __version__, partial(importlib.import_module, module), builtin=True)
        )
    return LoadedPlugins(tuple(entries), ())


def register_plugin(candidate: Candidate) -> list[PluginEntry]:
    """Entries of one plugin.

    Raises:
        Exception: whatever it raises; a PluginError or TypeError for a plugin that breaks the contract.
    """
    manager = pluggy.PluginManager(specs.PROJECT)
    manager.add_hookspecs(specs)
    with trace_call("import", candidate.distribution):
        plugin = candidate.load()
    _check_api(plugin)
    manager.register(plugin)
    _check_names(plugin, manager)
    if not manager.get_hookcallers(plugin):
        raise TypeError(f"has no lrmctl hook; decorate one of {', '.join(GROUPS.values())} with lrmctl.hookimpl")
    trace_hooks(manager, candidate.distribution)
    entries: list[PluginEntry] = []
    for group, hook in GROUPS.items():
        getattr(manager.hook, hook)(register=_callback(candidate, group, entries))
    return entries


def _check_api(plugin: Any) -> None:
    """Raises PluginError for a plugin that is written for a newer contract than this lrmctl has."""
    stated = getattr(plugin, specs.API_ATTRIBUTE, specs.API_VERSION)
    if type(stated) is not int or stated < 1:
        raise PluginError(f"{specs.API_ATTRIBUTE} is {stated!r}; write a whole number, e.g. {specs.API_VERSION}")
    if stated > specs.API_VERSION:
        what = f"is written for version {stated} of the plugin API, and this lrmctl has version {specs.API_VERSION}"
        raise PluginError(what, fix="upgrade lrmctl, or install an older release of the plugin")


def _check_names(plugin: Any, manager: pluggy.PluginManager) -> None:
    """Raises PluginError for a hook that is misspelt or not decorated: it would never be called."""
    try:
        manager.check_pending()
    except pluggy.PluginValidationError as error:
        unknown = [name for name, hook in vars(manager.hook).items() if isinstance(hook, pluggy.HookCaller)]
        for name in unknown:
            if name.startswith(_PREFIX) and not getattr(manager.hook, name).has_spec():
                raise PluginError(f"{name} is no hook of lrmctl", fix=did_you_mean(name, GROUPS.values())) from error
        raise PluginError(f"has a hook that lrmctl does not have: {error}") from error
    decorated = {caller.name for caller in manager.get_hookcallers(plugin) or ()}
    module = getattr(plugin, "__name__", None)
    for name, value in inspect.getmembers(plugin, inspect.isroutine):
        if not name.startswith(_PREFIX) or name in decorated:
            continue
        if inspect.ismodule(plugin) and getattr(value, "__module__", module) != module:
            continue  # imported from elsewhere
        hint = "" if name in GROUPS.values() else did_you_mean(name, GROUPS.values())
        fix = "; ".join(filter(None, (hint, "decorate it with lrmctl.hookimpl, or give a helper another name")))
        raise PluginError(f"{name} is not decorated with lrmctl.hookimpl, so that it is never called", fix=fix)


def _callback(candidate: Candidate, group: str, entries: list[PluginEntry]) -> specs.Register:
    def register(name: str, factory: specs.Factory, *, summary: str = "") -> None:
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise ValueError(f"{group} name {name!r} must be lower-case words joined by - _ / : or .")
        source = specs.LazyFactory(factory) if isinstance(factory, str) else factory
        if isinstance(source, specs.LazyFactory):
            if not _TARGET.fullmatch(source.target):
                raise ValueError(f"the factory of {group} {name!r} must be module:attribute, not {source.target!r}")
        elif not callable(source):
            raise TypeError(f"the factory of {group} {name!r} is not callable")
        if any((e.group, e.name) == (group, name) for e in entries):
            raise ValueError(f"registers {group} {name!r} twice")
        documented = "" if isinstance(source, specs.LazyFactory) else inspect.getdoc(source) or ""
        text = summary or documented.partition("\n")[0]
        entries.append(
            PluginEntry(name, group, text, candidate.distribution, candidate.builtin, candidate.version, source)
        )

    return register
