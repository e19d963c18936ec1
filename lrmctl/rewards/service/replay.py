"""Rollouts of complete groups that were written just before the service was killed.

Their replies may not have reached OpenRLHF, which then makes the calls again. Such a call is answered from its row:
with the others of its group already answered, it would wait for them in vain.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lrmctl.rewards.compose import RolloutReward
from lrmctl.rewards.service.groups import GroupMember, RewardReply
from lrmctl.rewards.service.held import HeldOutcome
from lrmctl.rewards.service.worker_handle import ScoringJob
from lrmctl.types import Score

BEFORE_S = 5.0
"""Seconds before the last row in which rows may be unanswered: replies are sent at once after writing."""
AFTER_S = 180.0
"""Seconds after the start in which calls may come again; OpenRLHF repeats one after a second, or 180."""


@dataclass(frozen=True)
class WrittenRollout:
    """A row, its place in its group, and its reply's score; None for one that failed."""

    row: Mapping[str, Any]
    place: GroupMember
    score: float | None

    @property
    def key(self) -> tuple[Any, ...]:
        row = self.row
        return (row["phase"], row["prompt_id"], row["row"], row["thinking"], row["answer"], row["finish_reason"])

    def outcome(self, job: ScoringJob) -> HeldOutcome:
        """The rollout as it was answered."""
        row, mean = self.row, self.place.group.mean()
        scores = {name: Score(one["value"], one["error"]) for name, one in row["components"].items()}
        reward = RolloutReward(row["total"], scores, {}, row["error"])
        score = self.score if self.score is not None else mean.score if mean else 0.0
        answer = RewardReply(row["reward"], score)
        return HeldOutcome(job.trace, job.metric, reward, row["error"], "", job.row, self.place, answer)


class WrittenRollouts:
    """The latest rows of complete groups, each of which answers one call."""

    def __init__(self) -> None:
        self._latest: deque[WrittenRollout] = deque()
        self._until = time.monotonic() + AFTER_S

    def add(self, written: WrittenRollout) -> None:
        self._latest.append(written)
        while self._latest[0].row["seconds"] < written.row["seconds"] - BEFORE_S:
            self._latest.popleft()

    def take(self, job: ScoringJob) -> HeldOutcome | None:
        """The outcome of a repeated call, once; None if its rollout was not written."""
        if not self._latest:
            return None
        if time.monotonic() > self._until:
            self._latest.clear()
        trace = job.trace
        key = (job.phase, trace.prompt.id, job.row, trace.thinking, trace.answer, trace.finish_reason)
        found = next((one for one in self._latest if one.key == key and one.place.group.complete), None)
        if found is None:
            return None
        self._latest.remove(found)
        return found.outcome(job)
