"""Preference pairs from scored completions: the rewards that the rows state, or those of a reward."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from lrmctl.data.pairs.groups import GroupedPairs, ScoredTrace, best_and_worst, read_scored

if TYPE_CHECKING:
    from lrmctl.recipe.schema.recipes import RewardSection
    from lrmctl.types import Trace

OnProgress = Callable[[int, int], None]
_BATCH = 256


def rewards_of(
    section: RewardSection, traces: Sequence[Trace], on_progress: OnProgress | None = None
) -> list[float | None]:
    """The reward of each completion as the recipe sums it; None where it failed."""
    from lrmctl.rewards.compose import ComposedReward

    reward, found = ComposedReward(section), list[float | None]()
    for start in range(0, len(traces), _BATCH):
        scored = reward.score(traces[start : start + _BATCH])
        found += [None if one.error else one.total for one in scored]
        if on_progress:
            on_progress(len(found), len(traces))
    return found


def best_pairs(
    path: Path, section: RewardSection | None, *, min_gap: float = 0.0, on_progress: OnProgress | None = None
) -> GroupedPairs:
    """The best and the worst completion of each group of a file.

    Args:
        path: rollouts, rows of an evaluation, or plain rows.
        section: scores them anew; None takes the rewards that the rows state.

    Raises:
        NotFoundError, RecipeError: the file cannot be read.
    """
    evaluated = Counter[str]()
    scored: Iterable[ScoredTrace] = read_scored(path, evaluated)
    if section is not None:
        known = list(scored)
        rewards = rewards_of(section, [one.trace for one in known], on_progress)
        scored = [replace(one, reward=reward) for one, reward in zip(known, rewards, strict=True)]
    found = best_and_worst(scored, min_gap=min_gap)
    return replace(found, left_out={**evaluated, **found.left_out})
