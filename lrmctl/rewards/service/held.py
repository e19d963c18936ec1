"""Holds failed rollouts until their group is complete, since their reply depends on it.

OpenRLHF uses the samples of a prompt only once all of them have their rewards, so the reply to one may wait for the
others without delaying anything. It gives up a call after 180 seconds and repeats it, up to five times in all: a call
that has waited nearly that long is turned away, and waits again when it returns.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from lrmctl.rewards.compose import RolloutReward
from lrmctl.rewards.service.config import PATIENCE
from lrmctl.rewards.service.groups import GroupMember, RewardReply, SampleGroup
from lrmctl.rewards.service.worker_handle import ScoringJob
from lrmctl.types import Trace

TURNS = 4
"""How often a call may wait; OpenRLHF makes it five times at most."""
AGAIN = b""
"""The reply to a call that is turned away."""


@dataclass(eq=False)
class HeldOutcome:
    """One rollout with its outcome.

    Attributes:
        failed: whose reward failed on which prompt and how; empty if none did.
        component: the component that failed, if it was one.
        row: row of the training data, if known.
        answer: the reply to the trainer; None until it is decided.
    """

    trace: Trace | None
    metric: str
    reward: RolloutReward | None
    failed: str
    component: str
    row: int | None = None
    place: GroupMember | None = None
    answer: RewardReply | None = None

    @property
    def phase(self) -> str:
        return "eval" if self.metric else "train"

    @property
    def total(self) -> float | None:
        return None if self.reward is None else self.reward.total

    @property
    def kind(self) -> str:
        return self.trace.prompt.kind if self.trace else ""

    @property
    def group(self) -> SampleGroup | None:
        return self.place.group if self.place else None


@dataclass(eq=False)
class PendingReply:
    """A failed rollout and the caller that waits for its reply."""

    job: ScoringJob
    entry: HeldOutcome


class Held:
    """The waiting failed rollouts, by group.

    Args:
        decide: receives those that can wait no longer.
        patience: seconds that a call may wait, from its arrival.
    """

    def __init__(self, decide: Callable[[list[PendingReply]], None], patience: float = PATIENCE) -> None:
        self._decide, self._patience = decide, patience
        self._waiting: list[PendingReply] = []
        self._turns: Counter[bytes] = Counter()

    def add(self, waiting: PendingReply) -> None:
        self._waiting.append(waiting)
        left = waiting.job.arrived + self._patience - time.monotonic()
        asyncio.get_running_loop().call_later(max(0.0, left), self._overdue, waiting)

    def ready(self, knows: Callable[[str], bool]) -> list[PendingReply]:
        """Take those whose group is complete. If a caller has gone, its sample will be sent again and is dropped here.

        Args:
            knows: whether anything of a phase was scored, for rollouts without a group to wait for.
        """
        if not self._waiting:
            return []
        for waiting in [w for w in self._waiting if w.job.gone]:
            self._let_go(waiting)

        def can(waiting: PendingReply) -> bool:
            group = waiting.entry.group
            return group.complete if group and group.wanted > 1 else knows(waiting.entry.phase)

        return self._take(can)

    def all(self) -> list[PendingReply]:
        """Take all of them."""
        return self._take(lambda _: True)

    def _take(self, which: Callable[[PendingReply], bool]) -> list[PendingReply]:
        taken = [w for w in self._waiting if which(w)]
        self._waiting = [w for w in self._waiting if not which(w)] if taken else self._waiting
        return taken

    def _overdue(self, waiting: PendingReply) -> None:
        if waiting not in self._waiting:
            return
        self._turns[waiting.job.key] += 1
        if waiting.job.gone or self._turns[waiting.job.key] < TURNS:
            self._let_go(waiting)
        else:
            self._waiting.remove(waiting)
            self._decide([waiting])

    def _let_go(self, waiting: PendingReply) -> None:
        self._waiting.remove(waiting)
        if waiting.entry.place is not None:
            waiting.entry.place.group.release(waiting.entry.place.sample)
        if not waiting.job.future.done():
            waiting.job.future.set_result(AGAIN)
