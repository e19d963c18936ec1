"""Rescores past rollouts and compares: by component and in total, with paired intervals over prompts.

Nothing is normalised: the composed reward is compared as a recipe sums it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lrmctl.rewards.compose import ComposedReward, RolloutReward
from lrmctl.rewards.grouping import batches_of_groups
from lrmctl.rewards.offline.rollouts import RewardedRollout
from lrmctl.rows.prompts import key_of

BATCH = 256
_SAME = 1e-9
TOTAL = "total"


@dataclass(frozen=True)
class RewardDifference:
    """Old and new values of one component, or of the total, on the rollouts that have both.

    Attributes:
        name: component, `total`, or `total of KIND` if there are several kinds.
        n: rollouts with both values.
        old_mean, new_mean: over these; if there is no old value at all, `new_mean` is over all new ones.
        delta, low, high: mean of new - old over prompts and its 95 % interval (`stats.paired_delta`).
        correlation: Pearson's; None if one side is constant.
        changed: share of the n whose value differs.
        new_n: rollouts with a new value.
        failed: rollouts whose new value failed.
    """

    name: str
    n: int
    old_mean: float | None
    new_mean: float | None
    delta: float | None
    low: float | None
    high: float | None
    correlation: float | None
    changed: float | None
    new_n: int
    failed: int


@dataclass(frozen=True)
class Rescored:
    """Rollouts and their new rewards, in order."""

    rollouts: Sequence[RewardedRollout]
    rewards: Sequence[RolloutReward]

    def rows(self) -> Iterator[dict[str, Any]]:
        """The rows with the new reward, components and error; the old ones are kept under `before`."""
        for rollout, reward in zip(self.rollouts, self.rewards, strict=True):
            keys = ("reward", "total", "error", "components")
            before = {key: rollout.row[key] for key in keys if key in rollout.row}
            new = {"reward": reward.total, "total": reward.total, "error": reward.error, "components": reward.to_json()}
            yield {**rollout.row, "kind": rollout.trace.prompt.kind, **new, **({"before": before} if before else {})}


def rescore(
    reward: ComposedReward, rollouts: Sequence[RewardedRollout], on_progress: Callable[[int, int], None] | None = None
) -> Rescored:
    """New rewards of past rollouts; a component that fails is recorded in its rollouts. Samples are compared within
    the groups of their run, or where rows have no group, with all samples of the same prompt."""
    rewards: dict[int, RolloutReward] = {}
    groups = [_group(rollout) for rollout in rollouts]
    for batch in batches_of_groups(groups, BATCH):
        given = reward.score([rollouts[i].trace for i in batch], [groups[i] for i in batch])
        rewards |= dict(zip(batch, given, strict=True))
        if on_progress:
            on_progress(len(rewards), len(rollouts))
    return Rescored(rollouts, [rewards[i] for i in range(len(rollouts))])


def _group(rollout: RewardedRollout) -> tuple[Any, ...]:
    prompt, row = key_of(rollout.trace.prompt), rollout.row
    return (prompt, row.get("attempt"), row["group"]) if row.get("group") else (prompt,)


def differences(rescored: Rescored) -> list[RewardDifference]:
    """The table: every component of old and new, then the total, then the total of each kind."""
    pairs = list(zip(rescored.rollouts, rescored.rewards, strict=True))
    names = dict.fromkeys(name for rollout, reward in pairs for name in (*rollout.components, *reward.components))
    found = [_difference(name, [_component(name, *pair) for pair in pairs]) for name in names]
    totals = [_total(*pair) for pair in pairs]
    found.append(_difference(TOTAL, totals))
    kinds = list(dict.fromkeys(rollout.trace.prompt.kind for rollout, _ in pairs))
    for kind in kinds if len(kinds) > 1 else ():
        of_kind = [v for v, (r, _) in zip(totals, pairs, strict=True) if r.trace.prompt.kind == kind]
        found.append(_difference(f"{TOTAL} of {kind}", of_kind))
    return found


@dataclass(frozen=True)
class _Value:
    prompt: str
    old: float | None
    new: float | None
    failed: bool


def _component(name: str, rollout: RewardedRollout, reward: RolloutReward) -> _Value:
    score = reward.components.get(name)
    new, failed = (score.value, score.failed) if score else (None, False)
    return _Value(key_of(rollout.trace.prompt), rollout.components.get(name), new, failed)


def _total(rollout: RewardedRollout, reward: RolloutReward) -> _Value:
    return _Value(key_of(rollout.trace.prompt), rollout.total, reward.total, bool(reward.error))


def _difference(name: str, values: Sequence[_Value]) -> RewardDifference:
    import numpy as np

    failed, new_n = sum(v.failed for v in values), sum(v.new is not None for v in values)
    both = [(v.prompt, v.old, v.new) for v in values if v.old is not None and v.new is not None]
    if not both:
        olds, news = ([x for x in side if x is not None] for side in ([v.old for v in values], [v.new for v in values]))
        return RewardDifference(name, 0, _mean(olds), _mean(news), None, None, None, None, None, new_n, failed)
    old, new = (np.array([pair[i] for pair in both], dtype=np.float64) for i in (1, 2))
    delta, low, high = _paired([prompt for prompt, _, _ in both], old, new)
    changed = float(np.mean(np.abs(new - old) > _SAME))
    means = float(old.mean()), float(new.mean())
    return RewardDifference(name, len(both), *means, delta, low, high, _correlation(old, new), changed, new_n, failed)


def _paired(prompts: Sequence[str], old: Any, new: Any) -> tuple[float, float | None, float | None]:
    """Differences over prompts, since samples of one prompt are not independent. One prompt has no interval."""
    import numpy as np

    from lrmctl.stats import paired_delta

    index: Mapping[str, int] = {prompt: i for i, prompt in enumerate(dict.fromkeys(prompts))}
    of = np.array([index[prompt] for prompt in prompts])
    counts = np.bincount(of)
    before, after = np.bincount(of, weights=old) / counts, np.bincount(of, weights=new) / counts
    if len(counts) == 1:
        return float(after[0] - before[0]), None, None
    delta = paired_delta(before, after)
    return delta.delta, delta.low, delta.high


def _correlation(old: Any, new: Any) -> float | None:
    import numpy as np

    if len(old) < 2 or np.ptp(old) <= _SAME or np.ptp(new) <= _SAME:
        return None
    return float(np.corrcoef(old, new)[0, 1])


def _mean(values: Sequence[float]) -> float | None:
    return math.fsum(values) / len(values) if values else None
