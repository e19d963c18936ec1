"""Monitors of RL runs for reward hacking: alarms over `rollouts.jsonl` and `metrics.jsonl`.

An alarm processes windows of rollouts in order and compares each with the first. It reads rows only: it knows no
service, no backend and no recipe. An alarm is a question to the reader, with rows to look at, not a verdict.
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
