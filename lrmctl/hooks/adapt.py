"""Wraps plugin objects that do not derive from the base class of their kind.

Members that the object has are used; missing ones have the base's default.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from lrmctl.errors import PluginError
from lrmctl.hooks.specs import Benchmark, Judge, Reward, Source

BASES: Mapping[str, type] = {"reward": Reward, "judge": Judge, "benchmark": Benchmark, "source": Source}
"""Base classes by group of the registry."""
_NEEDED: Mapping[type, tuple[str, ...]] = {
    Reward: ("score", "score_group"),
    Judge: ("judge",),
    Benchmark: ("load",),
    Source: ("prompts", "demonstrations", "pairs"),
}
"""Methods of which an object must have at least one."""


def adapted(group: str, made: Any) -> Any:
    """The object itself if it derives from its group's base, else an instance of the base that wraps it.

    Raises:
        PluginError: it lacks the required method of its kind.
    """
    base = BASES[group]
    return adapted_to(base, _NEEDED[base], made, group)


def adapted_to(base: type, needed: tuple[str, ...], made: Any, group: str) -> Any:
    """The same for a base class of another room; one of the needed methods must exist.

    Raises:
        PluginError: none does.
    """
    if isinstance(made, base):
        return made
    if not any(callable(getattr(made, name, None)) for name in needed):
        what = f"a {group} has a method `{'` or `'.join(needed)}`, and {type(made).__name__} has none"
        raise PluginError(what, fix=f"derive it from {base.__module__}.{base.__name__}")
    has = frozenset(name for name in _members(base) if hasattr(made, name))
    return _adapter(base, has)(made)


@lru_cache
def _members(base: type) -> frozenset[str]:
    return frozenset(name for name in (*vars(base), *base.__annotations__) if not name.startswith("_"))


@lru_cache
def _adapter(base: type, has: frozenset[str]) -> Any:
    def init(self: Any, wrapped: Any) -> None:
        self.__dict__["wrapped"] = wrapped

    def other(self: Any, name: str) -> Any:
        if name == "wrapped":  # not set yet while it is copied
            raise AttributeError(name)
        return getattr(self.wrapped, name)

    forwarded = {name: _forwarded(name) for name in has}
    made = type(base.__name__, (base,), {"__init__": init, "__getattr__": other, **forwarded})
    made.__abstractmethods__ = frozenset()  # type: ignore[attr-defined]  # what it lacks fails when it is asked
    return made


def _forwarded(name: str) -> property:
    return property(
        lambda self: getattr(self.wrapped, name),
        lambda self, value: setattr(self.wrapped, name, value),
    )
