"""Collects rollouts into batches for the scorer processes, and isolates a rollout that hangs or kills one.

Runs in the service's event loop; knows no HTTP and writes no files. A batch that exceeds its time limit, or kills its
scorer, is retried one rollout at a time in a separate process: the rollout that does it again has failed, the others
get their reward.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from lrmctl.errors import RewardError
from lrmctl.rewards.compose import RolloutReward
from lrmctl.rewards.service.config import PATIENCE, THREADS, ServiceSpec
from lrmctl.rewards.service.worker_handle import AnyJob, IsolationRun, ScorerHandle, ScoringBatch

BATCH_DELAY_S = 0.02
"""Seconds that a batch runs before the next one is sent concurrently: quick rewards gain nothing from it."""
POLL_INTERVAL_S = 0.05
MAX_DEATHS, DEATH_WINDOW_S = 4, 60.0
"""This many scorer deaths without a culprit, within this many seconds, end the run."""


@dataclass(frozen=True)
class NoReward:
    """The outcome of a rollout whose scoring had to be aborted."""

    error: str
    component: str = ""


Outcome = RolloutReward | NoReward
Outcomes = Sequence[Outcome | list[RolloutReward]]
"""One for each job; a list for a group, with the reward of each member."""
Settle = Callable[[Sequence[AnyJob], Outcomes], None]


class Batcher:
    """Turns waiting rollouts, and groups of them, into batches and their outcomes into rewards.

    Args:
        settle: receives jobs with their rewards, and answers them.
        end: receives the error that makes further scoring impossible.
        sent: receives the size of every batch.
        restarted: receives the cause of every scorer restart: `hang`, `death`.
    """

    def __init__(
        self,
        spec: ServiceSpec,
        settle: Settle,
        end: Callable[[Exception], None],
        sent: Callable[[int], None] = lambda _: None,
        restarted: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._spec, self._words = spec, spec.section.service
        self._settle, self._end, self._sent, self._restarted = settle, end, sent, restarted
        self.max_batch = self._words.max_batch
        self.quarantine: dict[bytes, NoReward] = {}
        self.weight = 0
        self.restarts = 0
        self._queue: deque[AnyJob] = deque()
        self._suspects: deque[AnyJob] = deque()
        self._scorers: list[ScorerHandle] = []
        self._deaths: deque[float] = deque(maxlen=MAX_DEATHS)
        self._past_judges: list[dict[str, Any]] = []  # of scorers that have ended
        self._ready_since = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._waiting = 0

    @property
    def waiting(self) -> int:
        """Number of rollouts without a reward yet."""
        return self._waiting

    @property
    def ready(self) -> int:
        """Number of scorers that are ready."""
        return sum(s.ready and not s.dead for s in self._scorers)

    @property
    def judges(self) -> list[dict[str, Any]]:
        """Statistics of the judges of all scorers, ended ones included."""
        return [*self._past_judges, *(j for s in self._scorers for j in s.judges)]

    def start(self) -> None:
        self._scorers = [ScorerHandle(self._spec, self) for _ in range(self._words.workers)]
        self._clock = asyncio.get_running_loop().create_task(self._watch())

    def stop(self) -> None:
        self._clock.cancel()
        for scorer in self._scorers:
            scorer.kill()

    def submit(self, job: AnyJob) -> None:
        self._waiting += 1
        self.weight += job.weight
        self._queue.append(job)
        if len(self._queue) >= self.max_batch:
            self._pump()
        elif self._timer is None:
            self._pump_in(self._words.window)

    def scorer_ready(self, scorer: ScorerHandle) -> None:  # noqa: ARG002 (the signature of a boss)
        self._ready_since = self._ready_since or time.monotonic()
        self._pump()

    def scorer_broken(self, scorer: ScorerHandle, error: Exception) -> None:
        scorer.kill()
        self._give_up(error)

    def scorer_done(self, scorer: ScorerHandle, batch: ScoringBatch, rewards: Any) -> None:  # noqa: ARG002
        if isinstance(rewards, list) and len(rewards) == len(batch.jobs):
            self._finish(batch.jobs, rewards)
        else:
            self._finish(batch.jobs, [NoReward(str(rewards))] * len(batch.jobs))
        self._tried(batch)
        self._pump()

    def scorer_died(self, scorer: ScorerHandle, how: str) -> None:
        batches = list(scorer.batches.values())
        self._replace(scorer, "death")
        if len(batches) == 1 and batches[0].isolation is not None and scorer.sent > 1:
            # earlier batches may have left the damage: retry in a process that has scored nothing
            self._suspects.extendleft(batches[0].jobs)
        elif len(batches) == 1 and batches[0].isolation is not None:
            self._blame(batches[0], f"the process that scored it {how}")
        elif batches:
            self._suspect([job for batch in batches for job in batch.jobs], slow=False)
        else:
            self._deaths.append(time.monotonic())
            if len(self._deaths) == MAX_DEATHS and self._deaths[-1] - self._deaths[0] < DEATH_WINDOW_S:
                loading = "" if scorer.ready else " while the reward was loading"
                fix = "look for its last words in the log, and at the memory of this machine"
                self._give_up(RewardError(f"the process that scores {how}{loading}, {MAX_DEATHS} times", fix=fix))
        self._pump()

    def _pump_in(self, seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(seconds, self._pump)

    def _pump(self) -> None:
        """Send whatever can be sent; reschedules itself for the rest."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        now = time.monotonic()
        for scorer in sorted(self._scorers, key=lambda s: len(s.batches)):
            self._feed(scorer, now)
        if self._queue and self.ready and not self._suspects:
            due = self._queue[0].arrived + self._words.window - now
            self._pump_in(due if due > 0 else BATCH_DELAY_S)

    def _feed(self, scorer: ScorerHandle, now: float) -> None:
        if not scorer.ready or scorer.dead or any(b.isolation for b in scorer.batches.values()):
            return
        if self._suspects:  # they need a process of their own: nothing new until this one is free
            if not scorer.batches:
                scorer.send([self._suspects.popleft()])
        elif self._queue and self._has_room(scorer, now) and self._is_due(now):
            jobs = self._next_batch()
            self._sent(sum(job.size for job in jobs))
            scorer.send(jobs)

    def _next_batch(self) -> list[AnyJob]:
        """At most `max_batch` rollouts from the queue, but one job at least: a group stays together."""
        jobs = [self._queue.popleft()]
        room = self.max_batch - jobs[0].size
        while self._queue and self._queue[0].size <= room:
            jobs.append(self._queue.popleft())
            room -= jobs[-1].size
        return jobs

    def _has_room(self, scorer: ScorerHandle, now: float) -> bool:
        return not scorer.batches or (len(scorer.batches) < THREADS and now - scorer.started >= BATCH_DELAY_S)

    def _is_due(self, now: float) -> bool:
        return len(self._queue) >= self.max_batch or now - self._queue[0].arrived >= self._words.window * 0.99

    async def _watch(self) -> None:
        ticks = 0
        while True:
            await asyncio.sleep(POLL_INTERVAL_S)
            ticks += 1
            for scorer in list(self._scorers):
                scorer.look()
                if not scorer.dead:
                    self._check_clock(scorer)
            if ticks % round(1 / POLL_INTERVAL_S) == 0:
                self._check_queue()

    def _check_clock(self, scorer: ScorerHandle) -> None:
        limit = time.monotonic() - self._spec.time_limit
        overdue = next((b for b in scorer.batches.values() if b.started < limit), None)
        if overdue is None:
            return
        others = [b for b in scorer.batches.values() if b is not overdue]
        scorer.kill()
        self._replace(scorer, "hang")
        for batch in others:
            self._queue.extendleft(reversed(batch.jobs))
        if len(overdue.jobs) == 1 and not others:
            self._blame(overdue, f"no reward from {overdue.at or self._names} within {self._spec.time_limit:g} s")
        else:
            self._suspect(overdue.jobs, slow=True)
        self._pump()

    @property
    def _names(self) -> str:
        return ", ".join(c.label for c in self._spec.section.components)

    def _check_queue(self) -> None:
        """Drop rollouts whose caller has gone, and answer those that have waited too long."""
        late = time.monotonic() - PATIENCE
        can = 0.0 < self._ready_since < late
        for queue in (self._queue, self._suspects):
            if not any(job.gone or (can and job.arrived < late) for job in queue):
                continue
            jobs = list(queue)
            queue.clear()
            for job in jobs:
                if job.gone:
                    self._finish([job], [NoReward("the caller has gone")])
                elif can and job.arrived < late:
                    what = f"no turn within {PATIENCE:g} s: the reward is too slow for {self._waiting} rollouts at once"
                    self._finish([job], [NoReward(what)])
                else:
                    queue.append(job)

    def _suspect(self, jobs: list[AnyJob], *, slow: bool) -> None:
        isolation = IsolationRun(len(jobs), slow)
        for job in jobs:
            job.isolation = isolation
        self._suspects.extend(jobs)

    def _blame(self, batch: ScoringBatch, error: str) -> None:
        (job,) = batch.jobs
        verdict = NoReward(error, batch.at)
        self.quarantine[job.key] = verdict
        if job.isolation is not None:
            job.isolation.is_culprit = True
        self._finish([job], [verdict])
        self._tried(batch)

    def _tried(self, batch: ScoringBatch) -> None:
        isolation = batch.isolation
        if isolation is None:
            return
        isolation.left -= 1
        if isolation.left == 0 and isolation.slow and not isolation.is_culprit:
            self.max_batch = max(1, self.max_batch // 2)

    def _finish(self, jobs: Sequence[AnyJob], outcomes: Outcomes) -> None:
        self._waiting -= len(jobs)
        self.weight -= sum(job.weight for job in jobs)
        self._settle(jobs, outcomes)

    def _replace(self, scorer: ScorerHandle, cause: str) -> None:
        self.restarts += 1
        self._restarted(cause)
        self._past_judges += scorer.judges
        self._scorers[self._scorers.index(scorer)] = ScorerHandle(self._spec, self)

    def _give_up(self, error: Exception) -> None:
        """Scoring is impossible: all waiting callers are answered, and the run must end."""
        self._end(error)
        self._clock.cancel()
        for scorer in self._scorers:
            scorer.kill()
        jobs = [*self._queue, *self._suspects, *(j for s in self._scorers for b in s.batches.values() for j in b.jobs)]
        self._queue.clear()
        self._suspects.clear()
        self._finish(jobs, [NoReward(str(error))] * len(jobs))
