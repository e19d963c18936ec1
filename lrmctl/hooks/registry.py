"""The registry of names: which plugin provides a name, and making its object from a recipe's options.

Built-in names never need third-party code: third-party plugins are loaded only for a name that is not built in, or for
a full list. A built-in name cannot be taken; two plugins that claim the same name both lose it, and a recipe names the
one it wants with its distribution: `use: acme-rewards:brevity`, for which no other plugin is loaded.

A list waits only a little for a plugin that is slow to load; a name that only such a plugin can still have waits long.

A name with a colon is read so: if what is before the first colon is a distribution that registers the rest, it is that
name of that distribution; otherwise the whole is the name. A plugin whose name reads as that of another distribution
(`acme-rewards:brevity`, registered by acme-other) loses it like one that another plugin has; with its own distribution
in front it is never ambiguous, because no distribution has a colon in its name.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from lrmctl._util.suggest import did_you_mean
from lrmctl.errors import LrmctlError, NotFoundError, PluginError, RecipeError
from lrmctl.hooks.adapt import BASES, adapted
from lrmctl.hooks.calls import trace_call
from lrmctl.hooks.distributions import PLUGINS_VARIABLE, normalized
from lrmctl.hooks.manager import GROUPS, LoadedPlugins, PluginEntry, PluginProblem, load_builtins
from lrmctl.hooks.specs import OptionsCheck
from lrmctl.hooks.third_party import ThirdPartyPlugins

__all__ = ["GROUPS", "PluginEntry", "PluginProblem", "Registry", "check", "find", "make", "names", "problems", "wait"]


class Registry:
    """All registered names of this Python environment, loaded as late as possible."""

    def __init__(self) -> None:
        self._builtin: LoadedPlugins | None = None
        self._third_party: ThirdPartyPlugins | None = None

    @property
    def builtin(self) -> LoadedPlugins:
        self._builtin = self._builtin or load_builtins()
        return self._builtin

    @property
    def third_party(self) -> LoadedPlugins:
        """What has loaded so far; waits a little for what has not."""
        return self._plugins.loaded()

    @property
    def _plugins(self) -> ThirdPartyPlugins:
        self._third_party = self._third_party or ThirdPartyPlugins()
        return self._third_party

    def wait(self) -> None:
        """Wait for plugins that are slow to load as long as for one whose name a recipe needs."""
        self._plugins.wait()

    def names(self, group: str | None = None) -> list[PluginEntry]:
        """All names that a recipe can use, of one group or of all, by group and name; qualified where needed."""
        _known_group(group)
        offered = [replace(e, name=_qualified(e)) if self._rivals(e) else e for e in self.third_party.entries]
        chosen = [e for e in (*self.builtin.entries, *offered) if group in (None, e.group)]
        return sorted(chosen, key=lambda e: (list(GROUPS).index(e.group), e.name))

    def problems(self) -> list[PluginProblem]:
        """Plugins that did not load, and names claimed twice."""
        conflicts = [
            PluginProblem(
                entry.distribution,
                f"{entry.group} {entry.name!r} is also registered by {_owners(rivals)}; "
                f"write {_qualified(entry)!r} for this one",
            )
            for entry in self.third_party.entries
            if (rivals := self._rivals(entry))
        ]
        return [*self.builtin.problems, *self.third_party.problems, *conflicts]

    def find(self, group: str, name: str) -> PluginEntry:
        """The entry of a name, which may be qualified: `distribution:name`.

        Raises:
            NotFoundError: no plugin registers it.
            PluginError: two distributions do.
        """
        _known_group(group)
        for entry in self.builtin.entries:
            if (entry.group, entry.name) == (group, name):
                return entry
        found = self._third_party_entry(group, name)
        if found is None and self._plugins.wait():
            found = self._third_party_entry(group, name)
        if found is None:
            raise self._not_found(group, name)
        return found

    def _third_party_entry(self, group: str, name: str) -> PluginEntry | None:
        return self._of_distribution(group, name) or self._claimed(group, name)

    def _of_distribution(self, group: str, name: str) -> PluginEntry | None:
        """What a qualified name means."""
        distribution, colon, rest = name.partition(":")
        if not colon:
            return None
        for entry in self._plugins.of(distribution):
            if (entry.group, entry.name) == (group, rest):
                return replace(entry, name=name)
        return None

    def _claimed(self, group: str, name: str) -> PluginEntry | None:
        claims = [e for e in self.third_party.entries if (e.group, e.name) == (group, name)]
        if len(claims) > 1:
            fix = f"write {' or '.join(repr(_qualified(e)) for e in claims)}"
            raise PluginError(f"{group} {name!r} is registered by {_owners(claims)}", fix=fix)
        return claims[0] if claims else None

    def check(self, group: str, name: str, options: Mapping[str, Any]) -> PluginEntry:
        """Find a name and bind the options to its factory without calling it.

        A factory may have `check_options(options)`, which raises a RecipeError for invalid values.

        Raises:
            RecipeError: an option that the factory does not take, or a required one that is missing.
        """
        entry = self.find(group, name)
        try:
            signature = inspect.signature(entry.factory)
        except (TypeError, ValueError):  # some C callables have none; errors appear when they are called
            return entry
        _bind(entry, signature, options)
        if isinstance(entry.factory, OptionsCheck):
            try:
                entry.factory.check_options(options)
            except (TypeError, ValueError) as error:
                raise _not_taken(entry, error) from error
        return entry

    def make(self, group: str, name: str, /, **options: Any) -> Any:
        """The object itself: its factory called with the options."""
        entry = self.check(group, name, options)
        try:
            factory = entry.factory
            with trace_call(f"make {group} {name}", entry.distribution):
                made = factory(**options)
        except LrmctlError:
            raise
        except (TypeError, ValueError) as error:
            raise _not_taken(entry, error) from error
        except Exception as error:
            what = f"{group} {name!r} of {entry.distribution} could not be made: {type(error).__name__}: {error}"
            raise PluginError(what) from error
        try:
            return adapted(group, made) if group in BASES else made
        except PluginError as error:
            raise PluginError(f"{group} {name!r} of {entry.distribution}: {error.what}", fix=error.fix) from error

    def _rivals(self, entry: PluginEntry) -> list[PluginEntry]:
        """Other entries that this entry's name may mean."""
        distribution, colon, rest = entry.name.partition(":")
        meant = (normalized(distribution), rest) if colon else None
        return [
            other
            for other in (*self.builtin.entries, *self.third_party.entries)
            if other is not entry
            and other.group == entry.group
            and (other.name == entry.name or (normalized(other.distribution), other.name) == meant)
        ]

    def _not_found(self, group: str, name: str) -> LrmctlError:
        hint = did_you_mean(name, (e.name for e in self.names(group)))
        others = [e for e in self.names() if e.name == name]
        if others:
            hint = f"there is a {others[0].group} of this name; {hint}"
        what = f"there is no {group.replace('-', ' ')} called {name!r}"
        if broken := [*self.builtin.problems, *self.third_party.problems]:
            what += "; a plugin that may offer it did not load:" + "".join(f"\n  {problem}" for problem in broken)
        distribution, colon, _ = name.partition(":")
        here = {normalized(e.distribution) for e in (*self.builtin.entries, *self.third_party.entries)}
        if colon and normalized(distribution) not in here:
            hint = f"`pip install {normalized(distribution)}` if that is its package; {hint}"
        if left_out := self.third_party.left_out:
            hint = "; ".join(filter(None, (hint, f"{PLUGINS_VARIABLE} leaves out {', '.join(left_out)}")))
        return NotFoundError(what, fix="; ".join(filter(None, (hint, "`lrmctl plugin list` lists all"))))


def _not_taken(entry: PluginEntry, error: Exception) -> LrmctlError:
    if isinstance(error, LrmctlError):
        return error
    return RecipeError(f"{entry.group} {entry.name!r} does not take these options: {error}")


def _qualified(entry: PluginEntry) -> str:
    """The name that means this entry, whatever else is installed."""
    return f"{normalized(entry.distribution)}:{entry.name}"


def _owners(entries: list[PluginEntry]) -> str:
    return " and ".join(sorted({e.distribution for e in entries}))


def _known_group(group: str | None) -> None:
    if group is not None and group not in GROUPS:
        raise NotFoundError(f"there is no kind of plugin called {group!r}", fix=did_you_mean(group, GROUPS))


def _bind(entry: PluginEntry, signature: inspect.Signature, options: Mapping[str, Any]) -> None:
    by_name = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    parameters = signature.parameters.values()
    accepted = {p.name: p for p in parameters if p.kind in by_name}
    open_ended = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters)
    who = f"{entry.group} {entry.name!r}"
    takes = f"it takes {', '.join(accepted)}" if accepted else "it takes no options"
    for key in options:
        if key not in accepted and not open_ended:
            hint = did_you_mean(key, accepted) if accepted else ""
            fix = f"{hint} {takes}".strip() if hint.startswith("did") else takes
            raise RecipeError(f"{who} has no option {key!r}", fix=fix)
    for key, parameter in accepted.items():
        if parameter.default is inspect.Parameter.empty and key not in options:
            raise RecipeError(f"{who} needs the option {key!r}", fix=takes)


_default = Registry()
find = _default.find
check = _default.check
make = _default.make
names = _default.names
problems = _default.problems
wait = _default.wait
