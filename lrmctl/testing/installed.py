"""Runs the contract checks on installed third-party plugins, and returns the results as data."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

from lrmctl._util.suggest import did_you_mean
from lrmctl.errors import LrmctlError, NotFoundError, RecipeError
from lrmctl.hooks import registry
from lrmctl.hooks.adapt import adapted_to
from lrmctl.hooks.distributions import normalized
from lrmctl.hooks.manager import PluginEntry
from lrmctl.recipe.schema.engines import ENGINE_ARGUMENTS
from lrmctl.testing.backend import check_backend
from lrmctl.testing.checks import (
    ContractError,
    check_benchmark,
    check_judge,
    check_lexicon,
    check_reward,
    check_source,
    check_thinking_format,
)
from lrmctl.testing.contract import Latency, latency
from lrmctl.testing.evaluating import check_analysis, check_engine, check_reasoning_task
from lrmctl.testing.starting import check_doctor_check, check_launcher, check_recipe
from lrmctl.testing.tracker import check_tracker

_CHECKS: Mapping[str, Callable[[Any], None]] = {
    "reward": check_reward,
    "judge": check_judge,
    "benchmark": check_benchmark,
    "source": check_source,
    "thinking-format": check_thinking_format,
    "lexicon": check_lexicon,
    "reasoning-task": check_reasoning_task,
    "recipe": check_recipe,
    "doctor-check": check_doctor_check,
}
_IF_NAMED = {
    "tracker": "it may send to a server",
    "engine": "it may load a large model, or ask a server",
}
"""Groups that are tested only if they are named, and why."""
_NEEDS_OPTIONS = "give them with --option, and the plugin's name"
_SECONDS = 0.1
"""Seconds for each of the two latencies of a reward."""


@dataclass(frozen=True)
class PluginCheck:
    """One registered name.

    Attributes:
        verdict: `skip` if it cannot be made without options, or is tested only if it is named.
        latency_ms: of a reward that keeps its contract, in milliseconds per trace.
    """

    group: str
    name: str
    distribution: str
    verdict: Literal["ok", "skip", "fail"]
    reason: str = ""
    latency_ms: Latency | None = None


def check_installed(only: Sequence[str] = (), options: Mapping[str, Any] | None = None) -> list[PluginCheck]:
    """Check every name of third-party plugins, and list those that did not load.

    Args:
        only: check these only: distributions, registered names, or folders of installed packages. Trackers and
            engines are checked if they are among these, because one may send to a server or load a large model.
        options: of the factories; needs names.

    Raises:
        NotFoundError: one of these is not installed, or registers nothing.
        RecipeError: options without a name, or that a factory does not take.
    """
    if options and not only:
        raise RecipeError("--option needs the name of a plugin", "--option", "`lrmctl plugin list` names them")
    registry.wait()
    offered = [entry for entry in registry.names() if not entry.builtin]
    broken = registry.problems()
    wanted = {word: _named(word) for word in only}
    for word, name in wanted.items():
        known = {normalized(p.distribution) for p in broken} | {normalized(e.distribution) for e in offered}
        if name not in known | {e.name for e in offered}:
            raise _not_installed(word, name, {*known, *(e.name for e in offered)})
    names = set(wanted.values())
    chosen = [e for e in offered if not names or names & {e.name, normalized(e.distribution)}]
    failed = [
        PluginCheck("plugin", "", p.distribution, "fail", p.error)
        for p in broken
        if not names or normalized(p.distribution) in names
    ]
    return [*failed, *(_check(entry, options or {}, named=bool(names)) for entry in chosen)]


def _named(word: str) -> str:
    """A distribution's or a registered name; of a folder, that of its pyproject.toml."""
    import tomllib

    folder = Path(word)
    if not (folder.is_dir() and ("/" in word or word == "." or (folder / "pyproject.toml").is_file())):
        return normalized(word) if word != word.lower() else word
    try:
        settings = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))
        return normalized(str(settings["project"]["name"]))
    except (OSError, ValueError, KeyError, TypeError):
        raise NotFoundError(f"{word} is no package: it has no pyproject.toml with a name") from None


def _not_installed(word: str, name: str, known: set[str]) -> LrmctlError:
    if word != name and Path(word).is_dir():
        what = f"the package of {word}, {name}, is not installed, or offers no plugin"
        return NotFoundError(what, fix=f"pip install -e {word}")
    what = f"no installed plugin is called {word!r}, and none registers this name"
    return NotFoundError(what, fix=did_you_mean(word, known) or f"pip install {name}")


def _check(entry: PluginEntry, options: Mapping[str, Any], named: bool) -> PluginCheck:
    def found(verdict: Literal["ok", "skip", "fail"], reason: str = "", took: Latency | None = None) -> PluginCheck:
        return PluginCheck(entry.group, entry.name, entry.distribution, verdict, reason, took)

    if entry.group in _IF_NAMED and not named:
        command = f"`lrmctl plugin test {normalized(entry.distribution)}`"
        return found("skip", f"{_IF_NAMED[entry.group]}: name it to test it, {command}")
    given = dict.fromkeys(ENGINE_ARGUMENTS) if entry.group == "engine" else {}
    try:
        registry.check(entry.group, entry.name, {**given, **options})
    except RecipeError as error:
        if options:
            raise
        return found("skip", f"{error.what}: {_NEEDS_OPTIONS}")
    try:
        return found("ok", "", _run(entry, options))
    except (ContractError, LrmctlError) as error:
        return found("fail", str(error))
    except Exception as error:  # a plugin may raise anything where its contract requires a failed score
        return found("fail", f"raises {type(error).__name__}: {error}")


def _run(entry: PluginEntry, options: Mapping[str, Any]) -> Latency | None:
    """Raises ContractError for a violation; the latency of a reward."""

    def make() -> Any:
        return registry.make(entry.group, entry.name, **options)

    if entry.group == "tracker":
        check_tracker(make)
    elif entry.group == "backend":
        from lrmctl.backends.base import make_backend

        check_backend(make_backend(entry.name))
    elif entry.group == "engine":
        from lrmctl.engines import Rendering
        from lrmctl.models.shipped import base_path

        given = {"model": base_path(), "rendering": Rendering(), "batch_size": None}
        check_engine(registry.make(entry.group, entry.name, **{**given, **options}))
    elif entry.group == "launcher":
        check_launcher(partial(entry.factory, **options))
    elif entry.group == "analysis":
        from lrmctl.analysis import Analysis

        check_analysis(adapted_to(Analysis, ("analyze",), make(), "analysis"))
    else:
        made = make()
        _CHECKS[entry.group](made)
        if entry.group == "reward":
            return latency(made, seconds=_SECONDS)
    return None
