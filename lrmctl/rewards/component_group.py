"""`normalise: component-group`: each component normalised within its group, then weighted and added.

    z[k] = (r[k] - mean of r[k] in the group) / (its standard deviation + 1e-4)
    reward = sum over components k of weight[k] x z[k]

This is GDPO (arXiv 2601.05242) as TRL has it (`multi_objective_aggregation="normalize_then_sum"`), without its last
step, which normalises over the batch: the estimator does that. Sums of raw scores are dominated by the component with
the largest spread, whatever the others say; here each has the same spread in every group in which it varies.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from lrmctl.recipe.schema.recipes import Component
from lrmctl.rewards.compose import RolloutReward

EPSILON = 1e-4
"""Added to the deviation that is divided by, as in TRL."""


def normalise_group(rewards: Sequence[RolloutReward], components: Sequence[Component]) -> list[float | None]:
    """The reward to train on of each sample of a group, in order; None for those that failed.

    Scores that a component did not give count as its mean. Failed samples are in no mean.

    Args:
        components: of the recipe, for their weights and clips.
    """
    sums = [None if reward.total is None else 0.0 for reward in rewards]
    for component in components:
        values = {
            i: score.value if component.clip is None else min(component.clip[1], max(component.clip[0], score.value))
            for i, reward in enumerate(rewards)
            if reward.total is not None
            and (score := reward.components.get(component.label)) is not None
            and score.value is not None
        }
        for i, z in zip(values, _standardised(list(values.values())), strict=True):
            sums[i] = (sums[i] or 0.0) + component.weight * z
    return sums


def _standardised(values: Sequence[float]) -> list[float]:
    """(value - mean) / (deviation + epsilon), with the unbiased deviation; exactly 0 for equal values."""
    if len(values) < 2 or min(values) == max(values):
        return [0.0] * len(values)
    mean = math.fsum(values) / len(values)
    deviation = math.sqrt(math.fsum((v - mean) ** 2 for v in values) / (len(values) - 1))
    return [(value - mean) / (deviation + EPSILON) for value in values]
