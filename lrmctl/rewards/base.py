"""Calling a reward safely: one score per trace comes back, finite, missing, or failed with a reason.

Knows no particular reward, no recipe and no trainer.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lrmctl.hooks.specs import Reward
from lrmctl.judges.base import call_guarded
from lrmctl.rewards.values import as_score
from lrmctl.types import Part, Score, Trace


def make_reward(name: str, options: dict[str, Any] | None = None) -> Reward:
    """A registered reward by name.

    Raises:
        LrmctlError: unknown name, options that the reward does not take, or a plugin that cannot be loaded.
    """
    from lrmctl.hooks import registry

    reward: Reward = registry.make("reward", name, **(options or {}))
    return reward


def score_part(reward: Reward, traces: Sequence[Trace], part: Part) -> list[Score]:
    """One score per trace, in order; never raises. A value that is not a finite number is a failure."""
    return call_guarded(lambda some: reward.score(some, part), traces, checked_score, lambda e: Score(error=e))


def checked_score(score: object) -> Score:
    """The score with a plain float, or a failed score that says what was wrong with the value."""
    if not isinstance(score, Score):
        return Score(error=f"returned a {type(score).__name__}, not a Score")
    return as_score(score)
