"""Alarms on the rewards themselves: groups without variance, and failed rewards."""

from __future__ import annotations

from collections import defaultdict

from lrmctl.monitors.base import GroupShares
from lrmctl.monitors.rollouts import Rollout
from lrmctl.monitors.windows import Window, groups

_EQUAL = 1e-9


class GroupVariance(GroupShares):
    """Share of groups whose rewards are all equal although the best reward of their kind is not reached.

    Such a group has advantage 0 and teaches nothing. Groups that are all at the best reward seen for their kind are
    solved, and left out: that is the goal of training. If a kind has only ever had one reward, it is a constant.
    """

    name = "group-variance"
    looks_at = "rewards within each group of samples of one prompt"
    threshold = 0.8
    why = "with four in five unsolved groups flat, a step learns from a fifth of what it pays for"
    against_start = False
    waits_for = "8 groups of two or more rewards that are not solved"

    def __init__(self, threshold: float | None = None) -> None:
        super().__init__(threshold)
        self.seen: dict[str, tuple[float, float]] = {}

    def shares(self, window: Window, series: str) -> tuple[list[float], list[Rollout]]:  # noqa: ARG002
        found: dict[str, list[tuple[float, float, Rollout]]] = defaultdict(list)
        for group in groups([r for r in window.rollouts if r.reward is not None]):
            rewards = [r.reward for r in group if r.reward is not None]
            found[group[0].kind].append((min(rewards), max(rewards), min(group, key=lambda r: r.order)))
        flat = [(high - low <= _EQUAL, r) for kind, g in found.items() for low, high, r in self._unsolved(kind, g)]
        return [float(is_flat) for is_flat, _ in flat], [r for is_flat, r in flat if is_flat]

    def _unsolved(self, kind: str, found: list[tuple[float, float, Rollout]]) -> list[tuple[float, float, Rollout]]:
        low, high = min(g[0] for g in found), max(g[1] for g in found)
        before = self.seen.get(kind, (low, high))
        worst, best = self.seen[kind] = min(low, before[0]), max(high, before[1])
        constant = best - worst <= _EQUAL
        return [g for g in found if constant or g[0] < best - _EQUAL]

    def sentence(self, series: str, then: float, now: float) -> str:  # noqa: ARG002
        return f"{now:.1%} of the groups that are not solved have one reward for all samples"


class FailureRate(GroupShares):
    """Share of rollouts whose reward failed; the unit is the rollout, since failures rarely depend on the prompt."""

    name = "failure-rate"
    looks_at = "rows with an error"
    threshold = 0.01
    why = "one in a hundred is a fault and no accident; the run itself ends at max_failure_rate, 0.05 unless set"
    unit = "rollouts"
    against_start = False
    waits_for = "one window of rollouts"

    def shares(self, window: Window, series: str) -> tuple[list[float], list[Rollout]]:  # noqa: ARG002
        return [float(bool(r.error)) for r in window.rollouts], [r for r in window.rollouts if r.error]

    def sentence(self, series: str, then: float, now: float) -> str:  # noqa: ARG002
        return f"{now:.1%} of the rewards failed"
