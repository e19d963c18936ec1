"""Monitors of RL runs: does the reward rise for the right reason? Alarms over `rollouts.jsonl` and `metrics.jsonl`.

An alarm sees windows of rollouts one after the other and compares each with the first. It reads rows only: it knows no
service, no backend and no recipe. What it says is a question to the reader, with rows to look at, not a verdict.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lrmctl._util.lazy import lazy_names

if TYPE_CHECKING:
    from lrmctl.monitors.base import AlarmResult
    from lrmctl.monitors.live import watched
    from lrmctl.monitors.monitor import Monitor, clip_of, helped_of, per_step_of, prompts_of, recipe_of

__all__ = [
    "AlarmResult",
    "Monitor",
    "clip_of",
    "helped_of",
    "per_step_of",
    "prompts_of",
    "recipe_of",
    "watched",
]

__getattr__ = lazy_names(
    __name__,
    {
        "base": ("AlarmResult",),
        "live": ("watched",),
        "monitor": (
            "Monitor",
            "clip_of",
            "helped_of",
            "per_step_of",
            "prompts_of",
            "recipe_of",
        ),
    },
)
