"""Runs the contract checks on every installed third-party plugin, and returns the results as data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from lrmctl.errors import LrmctlError, RecipeError
from lrmctl.hooks import registry
from lrmctl.hooks.manager import PluginEntry
from lrmctl.testing.checks import (
    ContractError,
    check_benchmark,
    check_judge,
    check_lexicon,
    check_reward,
    check_source,
    check_thinking_format,
)

_CHECKS: Mapping[str, Callable[[Any], None]] = {
    "reward": check_reward,
    "judge": check_judge,
    "benchmark": check_benchmark,
    "source": check_source,
    "thinking-format": check_thinking_format,
    "lexicon": check_lexicon,
}


@dataclass(frozen=True)
class PluginCheck:
    """One registered name: `skip` if it cannot be made without options or has no contract check."""

    group: str
    name: str
    distribution: str
    verdict: Literal["ok", "skip", "fail"]
    reason: str = ""


def check_installed() -> list[PluginCheck]:
    """Every name of third-party plugins, and those that did not load."""
    broken = [PluginCheck("plugin", "", p.distribution, "fail", p.error) for p in registry.problems()]
    return [*broken, *(_check(entry) for entry in registry.names() if not entry.builtin)]


def _check(entry: PluginEntry) -> PluginCheck:
    def found(verdict: Literal["ok", "skip", "fail"], reason: str = "") -> PluginCheck:
        return PluginCheck(entry.group, entry.name, entry.distribution, verdict, reason)

    check = _CHECKS.get(entry.group)
    if check is None:
        return found("skip", f"there is no contract check for a {entry.group}")
    try:
        registry.check(entry.group, entry.name, {})
    except RecipeError as error:
        return found("skip", f"{error.what}: test it with its options, see lrmctl.testing.checks")
    try:
        check(registry.make(entry.group, entry.name))
    except (ContractError, LrmctlError) as error:
        return found("fail", str(error))
    except Exception as error:  # a plugin may raise anything where its contract requires a failed score
        return found("fail", f"raises {type(error).__name__}: {error}")
    return found("ok")
