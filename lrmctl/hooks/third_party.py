"""Installed plugins: each loads in isolation, and one that fails or is slow is reported and holds up no other.

Nothing is kept from one process to the next, and within one a plugin that came late is there from then on.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from lrmctl.errors import PluginError
from lrmctl.hooks.distributions import PLUGINS_VARIABLE, Candidate, installed, normalized
from lrmctl.hooks.isolation import (
    LISTED_TIMEOUT,
    NEEDED_TIMEOUT,
    TIMEOUT_VARIABLE,
    BackgroundLoad,
    load_each,
    load_timeout,
)
from lrmctl.hooks.manager import LoadedPlugins, PluginEntry, PluginProblem, register_plugin

_Load = BackgroundLoad[list[PluginEntry]]


class ThirdPartyPlugins:
    """Every installed distribution with an entry point in the group `lrmctl`; loads nothing before it is asked.

    `LRMCTL_PLUGINS` chooses among them; `LRMCTL_PLUGIN_TIMEOUT` is the number of seconds to wait for each.

    Raises:
        RecipeError: `LRMCTL_PLUGIN_TIMEOUT` is no number of seconds.
    """

    def __init__(self) -> None:
        self._listed, self._needed = load_timeout(LISTED_TIMEOUT), load_timeout(NEEDED_TIMEOUT)
        self._installed = installed()
        self._loads = [(one, _Load(_title(one), partial(register_plugin, one))) for one in self._installed.candidates]
        self._waited = 0.0
        self._known: tuple[list[bool], LoadedPlugins] | None = None

    def loaded(self) -> LoadedPlugins:
        """What has loaded, and problems of the rest. Waits for each as long as for one that would only be listed."""
        loads = [load for _, load in self._loads]
        self._wait(loads, self._listed)
        ended = [load.ended for load in loads]
        if self._known is None or self._known[0] != ended or not all(ended):
            self._known = (ended, self._look())
        return self._known[1]

    def wait(self) -> bool:
        """Wait for each as long as for one that is needed. Returns whether there was one to wait for."""
        late = [load for _, load in self._loads if not load.ended]
        self._wait(late, self._needed)
        return bool(late)

    def of(self, distribution: str) -> Sequence[PluginEntry]:
        """Entries of one distribution, for which no other is loaded; waits as long as for one that is needed."""
        name = normalized(distribution)
        loads = [load for one, load in self._loads if normalized(one.distribution) == name]
        self._wait(loads, self._needed)
        return [entry for load in loads for entry in _entries(load)]

    def _wait(self, loads: Sequence[_Load], seconds: float) -> None:
        if all(load.ended for load in loads):
            return
        from lrmctl.console import waiting

        self._waited = max(self._waited, seconds)
        with waiting() as show:
            load_each(loads, seconds, lambda names: show(_waiting(names, seconds)))

    def _look(self) -> LoadedPlugins:
        entries: list[PluginEntry] = []
        problems = [
            PluginProblem(PLUGINS_VARIABLE, f"{name!r} is not installed, or is no plugin; {hint}".rstrip("; "))
            for name, hint in self._installed.unknown
        ]
        for candidate, load in self._loads:
            if not load.ended:
                problems.append(_problem(candidate, self._late(load), loading=True))
                continue
            try:
                offered = load.result()
                _check_twice(offered, entries)
                entries.extend(offered)
            except PluginError as error:
                problems.append(_problem(candidate, "; ".join(filter(None, (error.what, error.fix)))))
            except Exception as error:  # a plugin may raise anything; it must not end the command
                problems.append(_problem(candidate, f"{type(error).__name__}: {error}"))
        return LoadedPlugins(tuple(entries), tuple(problems), self._installed.left_out)

    def _late(self, load: _Load) -> str:
        fix = f"set {TIMEOUT_VARIABLE} to more seconds if it is only slow, or {PLUGINS_VARIABLE} to do without it"
        return f"still importing after {self._waited:g} s, at {load.place()}; {fix}"


def _entries(load: _Load) -> Sequence[PluginEntry]:
    """What it registered; nothing if it failed or still loads, which `loaded` reports."""
    try:
        return load.result() if load.ended else ()
    except Exception:  # a plugin may raise anything
        return ()


def _check_twice(offered: list[PluginEntry], entries: list[PluginEntry]) -> None:
    """Raises ValueError for a name that another entry point of the same distribution registers."""
    for one in offered:
        if any((e.group, e.name, e.distribution) == (one.group, one.name, one.distribution) for e in entries):
            raise ValueError(f"two of its entry points register the {one.group} {one.name!r}")


def _title(candidate: Candidate) -> str:
    which = f" ({candidate.entry_point})" if candidate.entry_point else ""
    return f"{candidate.distribution}{which}"


def _waiting(names: Sequence[str], seconds: float) -> str:
    return f"waiting for {', '.join(names)} to load, {seconds:g} s at most ({TIMEOUT_VARIABLE})"


def _problem(candidate: Candidate, error: str, *, loading: bool = False) -> PluginProblem:
    which = f"entry point {candidate.entry_point!r}: " if candidate.entry_point else ""
    return PluginProblem(candidate.distribution, f"{which}{error}", loading)
