"""`normalise: kind`: rewards with mean 0 and deviation 1 within each prompt kind, by the rollouts seen so far.

Kinds are rewarded by different components, so that their rewards may differ in level and spread; where advantages are
taken over a whole batch (REINFORCE, REINFORCE++, PPO's critic), the kind with the larger spread takes the larger share
of the gradient. Within one group all rollouts are of one kind, and the map of a kind is affine: advantages that are
divided by their group's deviation (GRPO) stay what they were, since the service normalises all of a group by the mean
and deviation that its first rollout found; those that are not divided (Dr. GRPO, RLOO) are scaled by 1 / deviation.

The mean and deviation run on with every rollout (Welford 1962), so what a rollout gets depends on what came before it:
the same run with rollouts in another order gets slightly different rewards, most of all at its start.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeGuard

from lrmctl.recipe.schema.recipes import RewardSection

MIN_COUNT = 32
"""Rollouts of a kind before its rewards are normalised; until then they are unchanged."""
FLOOR = 1e-3
"""Smallest deviation to divide by, so that nearly equal rewards are not inflated."""


@dataclass
class RunningMoments:
    """Mean and population deviation of a stream of numbers, in one pass (Welford 1962).

    Attributes:
        count: numbers seen.
        mean: of them; 0 before the first.
        squares: sum of squared differences from the mean.
    """

    count: int = 0
    mean: float = 0.0
    squares: float = 0.0

    def add(self, value: float) -> None:
        self.count += 1
        before = value - self.mean
        self.mean += before / self.count
        self.squares += before * (value - self.mean)

    @property
    def deviation(self) -> float:
        return math.sqrt(max(0.0, self.squares) / self.count) if self.count else 0.0


class KindNormaliser:
    """Normalises rewards by prompt kind if the recipe asks for it, else leaves them unchanged. Not thread-safe.

    Args:
        section: the recipe's `reward:`.
    """

    def __init__(self, section: RewardSection) -> None:
        self._on = section.normalise == "kind"
        self._running: dict[str, RunningMoments] = {}

    def apply(self, kind: str, total: float) -> float:
        """The reward to train on: (total - mean) / deviation over this kind's rollouts, this one among them.

        For composed rewards of training rollouts that did not fail. Evaluation rollouts must not be passed here: they
        would shift the statistics of training rollouts.
        """
        if not self._on:
            return total
        mean, deviation = self.seen(kind, total)
        return (total - mean) / deviation

    def seen(self, kind: str, total: float) -> tuple[float, float]:
        """Add one more reward. Returns what is subtracted and divided by, from this rollout on: 0 and 1 until there are
        enough of the kind."""
        seen = self._seen(kind, total)
        return (0.0, 1.0) if seen.count < MIN_COUNT else (seen.mean, max(seen.deviation, FLOOR))

    def restore(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Continue from an earlier run: its rows of `rollouts.jsonl`, in their order.

        Failed rollouts and those of evaluation are left out, as is a row without `total` (of an older version), whose
        reward may already be normalised.
        """
        if not self._on:
            return
        for row in rows:
            total = row.get("total")
            if row.get("phase", "train") == "train" and not row.get("error") and _is_number(total):
                self._seen(str(row.get("kind", "")), total)

    def state(self) -> dict[str, dict[str, float]]:
        """By kind: rollouts seen, mean and deviation of their rewards."""
        return {k: {"count": r.count, "mean": r.mean, "deviation": r.deviation} for k, r in self._running.items()}

    def _seen(self, kind: str, total: float) -> RunningMoments:
        running = self._running.setdefault(kind, RunningMoments())
        running.add(total)
        return running


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
