"""Rewards: the value of a rollout, composed of parts by a recipe."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lrmctl._util.lazy import lazy_names

if TYPE_CHECKING:
    from lrmctl.rewards.base import checked_score, make_reward, score_part
    from lrmctl.rewards.compose import ComposedReward, RolloutReward
    from lrmctl.rewards.function import FunctionReward
    from lrmctl.rewards.scopes import score_on

__all__ = [
    "ComposedReward",
    "FunctionReward",
    "RolloutReward",
    "checked_score",
    "make_reward",
    "score_on",
    "score_part",
]

__getattr__ = lazy_names(
    __name__,
    {
        "base": (
            "checked_score",
            "make_reward",
            "score_part",
        ),
        "compose": (
            "ComposedReward",
            "RolloutReward",
        ),
        "function": ("FunctionReward",),
        "scopes": ("score_on",),
    },
)
