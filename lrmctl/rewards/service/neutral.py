"""The neutral reply to a rollout whose reward failed: a number from which the policy learns nothing.

No constant is neutral: advantages compare a reward with the others of its group (GRPO, Dr. GRPO, RLOO, REINFORCE++ with
the group's mean) or of its step (REINFORCE, FlashREINFORCE), and 0 may be the best of one group and the worst of the
next. So the reply is the mean of what it is compared with, which makes the advantage 0. Its score, which dynamic
filtering (DAPO) averages, is the group's mean too, so that a group passes as if the sample were not there.
"""

from __future__ import annotations

from collections import deque

from lrmctl.rewards.service.config import ServiceSpec
from lrmctl.rewards.service.groups import RewardReply, SampleGroup, mean_answer, rounded

RECENT = 256
"""Rollouts of a kind whose mean is used if none of a group was scored, and for a step of unknown size."""


class NeutralAnswers:
    """Keeps the latest replies. Owned by the service's event loop."""

    def __init__(self, spec: ServiceSpec) -> None:
        self._by_step, self._step = spec.baseline == "step", spec.step or RECENT
        self._recent: dict[tuple[str, str], deque[RewardReply]] = {}

    def scored(self, phase: str, kind: str, answer: RewardReply) -> None:
        """Add a rollout whose reward did not fail."""
        for key, size in (((phase, kind), RECENT), ((phase, ""), self._step)):
            self._recent.setdefault(key, deque(maxlen=size)).append(answer)

    def knows(self, phase: str) -> bool:
        """Whether anything of this phase was scored yet."""
        return bool(self._recent.get((phase, "")))

    def answer(self, phase: str, kind: str, group: SampleGroup | None) -> RewardReply:
        """The reply to a failed rollout.

        If none of its group was scored, all of them get the same number, and their advantages are 0 whatever it is; the
        score is then 0, so that dynamic filtering drops the group. The reward is 0 if nothing at all was scored yet.
        """
        mean = group.mean() if group else None
        step = self._mean(phase, "")
        of_group = mean or self._mean(phase, kind) or step
        reward = step or mean if self._by_step and phase == "train" else of_group
        return RewardReply(rounded(reward.reward) if reward else 0.0, mean.score if mean else 0.0)

    def _mean(self, phase: str, kind: str) -> RewardReply | None:
        return mean_answer(self._recent.get((phase, kind), ()))
