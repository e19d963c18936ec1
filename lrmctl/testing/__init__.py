"""Contract checks for plugin authors: call one from a test; it raises `ContractError` or returns.

`lrmctl.testing.pytest_plugin` has fixtures for their tests. Nothing is imported before it is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lrmctl._util.lazy import lazy_names

if TYPE_CHECKING:
    from lrmctl.testing.backend import check_backend
    from lrmctl.testing.checks import (
        ContractError,
        check_benchmark,
        check_judge,
        check_lexicon,
        check_reward,
        check_source,
        check_thinking_format,
        sample_traces,
    )
    from lrmctl.testing.client import RewardClient, reward_client
    from lrmctl.testing.evaluating import check_analysis, check_engine, check_reasoning_task
    from lrmctl.testing.starting import check_doctor_check, check_launcher, check_recipe
    from lrmctl.testing.traces import named_traces
    from lrmctl.testing.tracker import check_tracker

__all__ = [
    "ContractError",
    "RewardClient",
    "check_analysis",
    "check_backend",
    "check_benchmark",
    "check_doctor_check",
    "check_engine",
    "check_judge",
    "check_launcher",
    "check_lexicon",
    "check_reasoning_task",
    "check_recipe",
    "check_reward",
    "check_source",
    "check_thinking_format",
    "check_tracker",
    "named_traces",
    "reward_client",
    "sample_traces",
]

__getattr__ = lazy_names(
    __name__,
    {
        "backend": ("check_backend",),
        "checks": (
            "ContractError",
            "check_benchmark",
            "check_judge",
            "check_lexicon",
            "check_reward",
            "check_source",
            "check_thinking_format",
            "sample_traces",
        ),
        "client": ("RewardClient", "reward_client"),
        "evaluating": ("check_analysis", "check_engine", "check_reasoning_task"),
        "starting": ("check_doctor_check", "check_launcher", "check_recipe"),
        "traces": ("named_traces",),
        "tracker": ("check_tracker",),
    },
)
