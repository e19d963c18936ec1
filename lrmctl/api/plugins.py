"""Judges and rewards by name, as a recipe names them."""

from __future__ import annotations

from typing import Any

from lrmctl.hooks.specs import Judge, Reward


def make_judge(name: str, **options: Any) -> Judge:
    """A judge, built in or from a plugin (`lrmctl judge list`).

    `judge.judge(traces, "thinking")` returns one `Verdict` per trace. Weights are loaded at the first call; judges with
    equal options share them.

    Raises:
        LrmctlError: unknown name, options that the judge does not take, or a plugin that cannot be loaded.
    """
    from lrmctl.judges.base import make_judge

    return make_judge(name, options)


def make_reward(name: str, **options: Any) -> Reward:
    """A reward, built in or from a plugin (`lrmctl reward list`). `reward.score(traces, "whole")` returns one `Score`
    per trace.

    Raises:
        LrmctlError: unknown name, options that the reward does not take, or a plugin that cannot be loaded.
    """
    from lrmctl.rewards.base import make_reward

    return make_reward(name, options)
