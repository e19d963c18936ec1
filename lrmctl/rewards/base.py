"""Calling a reward safely: one score per trace comes back, finite, missing, or failed with a reason.

Knows no particular reward, no recipe and no trainer.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lrmctl.errors import RecipeError
from lrmctl.hooks.specs import Reward
from lrmctl.judges.base import call_guarded, describe
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


def make_inner_reward(name: str, options: dict[str, Any] | None = None) -> Reward:
    """A registered reward that another reward uses, which scores single traces.

    Raises:
        LrmctlError: as `make_reward`, and for a reward that compares the samples of a prompt.
    """
    reward = make_reward(name, options)
    if reward.of_group:
        what = f"the reward {name!r} compares the samples of a prompt and cannot be used inside of another reward"
        raise RecipeError(what, fix="make it a component of its own")
    return reward


def score_part(reward: Reward, traces: Sequence[Trace], part: Part) -> list[Score]:
    """One score per trace, in order; never raises. A value that is not a finite number is a failure."""
    return call_guarded(lambda some: reward.score(some, part), traces, checked_score, lambda e: Score(error=e))


def score_group_part(reward: Reward, traces: Sequence[Trace], part: Part) -> list[Score]:
    """One score per trace of a group, in order; never raises. If the call raises, or the number of scores is wrong, the
    whole group has failed: samples cannot be retried one by one."""
    try:
        scores = list(reward.score_group(traces, part))
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a plugin may do anything, even exit or cancel
        return [Score(error=describe(error))] * len(traces)
    if len(scores) != len(traces):
        return [Score(error=f"returned {len(scores)} results for a group of {len(traces)}")] * len(traces)
    return [checked_score(score) for score in scores]


def checked_score(score: object) -> Score:
    """The score with a plain float, or a failed score that says what was wrong with the value."""
    if not isinstance(score, Score):
        return Score(error=f"returned a {type(score).__name__}, not a Score")
    return as_score(score)
