"""Loads plugins so that a broken one is reported and never breaks a command.

Each plugin has its own pluggy manager: one that cannot be imported, has a wrong signature or raises during registration
becomes a `PluginProblem` and provides nothing. This module loads; conflicts between names are resolved in `registry`.
"""

from __future__ import annotations

import importlib
import inspect
import re
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field
from functools import cache, partial
from importlib.metadata import Distribution, EntryPoint, distributions
from types import FrameType
from typing import Any, NoReturn

import pluggy

from lrmctl.errors import PluginError
from lrmctl.hooks import builtins, specs

GROUPS = {
    "reward": "lrmctl_rewards",
    "judge": "lrmctl_judges",
    "benchmark": "lrmctl_benchmarks",
    "source": "lrmctl_sources",
    "backend": "lrmctl_backends",
    "thinking-format": "lrmctl_thinking_formats",
    "lexicon": "lrmctl_lexicons",
    "doctor-check": "lrmctl_doctor_checks",
}
ENTRY_POINT_GROUP = "lrmctl"
_TARGET = re.compile(r"[\w.]+:[\w.]+")
_NAME = re.compile(r"[a-z0-9]+([-_/:.][a-z0-9]+)*")


@dataclass(frozen=True)
class PluginEntry:
    """One registered name.

    Attributes:
        group: `reward`, `judge`, `benchmark`, `source`, `backend`, `thinking-format`, `lexicon` or
            `doctor-check`.
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
            with _contained(interrupted):
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
    """Why a plugin, or one of its names, cannot be used."""

    distribution: str
    error: str

    def __str__(self) -> str:
        return f"{self.distribution}: {self.error}"


@dataclass(frozen=True)
class LoadedPlugins:
    """The result of loading some plugins."""

    entries: tuple[PluginEntry, ...]
    problems: tuple[PluginProblem, ...]


def load_builtins() -> LoadedPlugins:
    """lrmctl's own plugins."""
    from lrmctl._util.version import __version__

    return _load_all(
        _Candidate("lrmctl", __version__, partial(importlib.import_module, module), builtin=True)
        for module in builtins.MODULES
    )


def load_third_party() -> LoadedPlugins:
    """Every installed distribution with an entry point in the group `lrmctl`, each in isolation."""
    return _load_all(_candidates())


@dataclass(frozen=True)
class _Candidate:
    distribution: str
    version: str
    load: Callable[[], Any]
    builtin: bool = False


def _candidates() -> Iterator[_Candidate]:
    seen: set[str] = set()
    for distribution in distributions():
        points = _entry_points(distribution)
        if not points or (name := distribution.name) in seen:
            continue
        seen.add(name)
        for point in points:
            yield _Candidate(name, distribution.version, point.load)


def _entry_points(distribution: Distribution) -> list[EntryPoint]:
    """The distribution's entry points for lrmctl; none if its metadata cannot be parsed.

    `importlib.metadata.entry_points()` reads all distributions at once, so one bad file would hide every plugin.
    """
    try:
        if f"[{ENTRY_POINT_GROUP}]" not in (distribution.read_text("entry_points.txt") or ""):
            return []  # spares parsing hundreds of files
        return list(distribution.entry_points.select(group=ENTRY_POINT_GROUP))
    except Exception:  # any damage of any installed package, which is not lrmctl's problem
        return []


def _load_all(candidates: Iterator[_Candidate]) -> LoadedPlugins:
    entries: list[PluginEntry] = []
    problems: list[PluginProblem] = []
    for candidate in candidates:
        if candidate.builtin:
            entries.extend(_register(candidate))
            continue
        interrupted: list[int] = []
        try:
            with _contained(interrupted):
                entries.extend(_register(candidate))
        except BaseException as error:  # a plugin may raise anything; it must not end the command
            if interrupted:  # by a signal: Ctrl-C and SIGTERM are the user's
                raise
            problems.append(PluginProblem(candidate.distribution, f"{type(error).__name__}: {error}"))
    return LoadedPlugins(tuple(entries), tuple(problems))


@contextmanager
def _contained(interrupted: list[int]) -> Iterator[None]:
    """Load a plugin contained: its output goes to stderr, it cannot exit the process, and `json` stays unpatched.

    Args:
        interrupted: receives the number of each signal that arrives meanwhile, to distinguish a plugin that raises
            KeyboardInterrupt from a user's interrupt.
    """
    import json
    import os
    import sys

    leave, kept = os._exit, dict(vars(json))

    def refuse(status: int) -> NoReturn:
        raise SystemExit(f"it calls os._exit({status})")

    os._exit = refuse
    try:
        with _signals_noted(interrupted), redirect_stdout(sys.stderr):
            yield
    finally:
        os._exit = leave
        vars(json).update(kept)


@contextmanager
def _signals_noted(interrupted: list[int]) -> Iterator[None]:
    """Records signals while handling them as before. Python lets only the main thread set handlers."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def noted(number: int, frame: FrameType | None) -> None:
        interrupted.append(number)
        handler = before[signal.Signals(number)]
        if callable(handler):
            handler(number, frame)

    for number, handler in before.items():
        if callable(handler):
            signal.signal(number, noted)
    try:
        yield
    finally:
        for number, handler in before.items():
            if callable(handler):
                signal.signal(number, handler)


def _register(candidate: _Candidate) -> list[PluginEntry]:
    """Entries of one plugin: all of them, or an exception."""
    manager = pluggy.PluginManager(specs.PROJECT)
    manager.add_hookspecs(specs)
    plugin = candidate.load()
    manager.register(plugin)
    manager.check_pending()
    if not manager.get_hookcallers(plugin):
        raise TypeError(f"has no lrmctl hook; decorate one of {', '.join(GROUPS.values())} with lrmctl.hookimpl")
    entries: list[PluginEntry] = []
    for group, hook in GROUPS.items():
        getattr(manager.hook, hook)(register=_callback(candidate, group, entries))
    return entries


def _callback(candidate: _Candidate, group: str, entries: list[PluginEntry]) -> specs.Register:
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
