"""The contract with plugins, and how they are found and loaded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lrmctl._util.lazy import lazy_names

if TYPE_CHECKING:
    from lrmctl.hooks.adapt import adapted
    from lrmctl.hooks.manager import PluginEntry
    from lrmctl.hooks.registry import make, names
    from lrmctl.hooks.specs import (
        API_VERSION,
        UNBOUNDED,
        Benchmark,
        GroupReward,
        Judge,
        LazyFactory,
        PairRow,
        Register,
        Reward,
        SftRow,
        Source,
        TrackedRun,
        Tracker,
        hookimpl,
    )

__all__ = [
    "API_VERSION",
    "UNBOUNDED",
    "Benchmark",
    "GroupReward",
    "Judge",
    "LazyFactory",
    "PairRow",
    "PluginEntry",
    "Register",
    "Reward",
    "SftRow",
    "Source",
    "TrackedRun",
    "Tracker",
    "adapted",
    "hookimpl",
    "make",
    "names",
]

__getattr__ = lazy_names(
    __name__,
    {
        "adapt": ("adapted",),
        "manager": ("PluginEntry",),
        "registry": (
            "make",
            "names",
        ),
        "specs": (
            "API_VERSION",
            "UNBOUNDED",
            "Benchmark",
            "GroupReward",
            "Judge",
            "LazyFactory",
            "PairRow",
            "Register",
            "Reward",
            "SftRow",
            "Source",
            "TrackedRun",
            "Tracker",
            "hookimpl",
        ),
    },
)
