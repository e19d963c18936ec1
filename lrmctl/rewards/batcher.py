"""Collects single rollouts into batches, so that a reward behind a model sees many at once. One thread, no HTTP."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future

from lrmctl.rewards.compose import RolloutReward
from lrmctl.types import Trace

_Job = tuple[Trace, "Future[RolloutReward]"]


class Batcher:
    """Scores submitted traces in the order of their arrival, as many at once as have arrived.

    Args:
        score: scores a batch, one reward per trace.
        max_batch: most traces in one call.
        window: seconds to wait for company after the first trace of a batch.
    """

    def __init__(
        self,
        score: Callable[[Sequence[Trace]], Sequence[RolloutReward]],
        *,
        max_batch: int = 64,
        window: float = 0.003,
    ) -> None:
        self._score, self._max_batch, self._window = score, max_batch, window
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        # a daemon: a reward that hangs must not keep the process from ending
        self._thread = threading.Thread(target=self._run, name="lrmctl-rewards", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def submit(self, trace: Trace) -> Future[RolloutReward]:
        future: Future[RolloutReward] = Future()
        self._jobs.put((trace, future))
        return future

    def stop(self, patience: float = 1.0) -> None:
        """End after the batch at hand; a reward that hangs is left behind after `patience` seconds."""
        self._jobs.put(None)
        self._thread.join(patience)

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            batch, last = self._collect(job)
            self._resolve([(trace, future) for trace, future in batch if future.set_running_or_notify_cancel()])
            if last:
                return

    def _collect(self, first: _Job) -> tuple[list[_Job], bool]:
        """The batch that starts with this job, and whether the end was asked for meanwhile."""
        batch, until = [first], time.monotonic() + self._window
        while len(batch) < self._max_batch:
            try:
                job = self._jobs.get(timeout=max(0.0, until - time.monotonic()))
            except queue.Empty:
                break
            if job is None:
                return batch, True
            batch.append(job)
        return batch, False

    def _resolve(self, batch: Sequence[_Job]) -> None:
        try:
            rewards = self._score([trace for trace, _ in batch])
            for (_, future), reward in zip(batch, rewards, strict=True):
                future.set_result(reward)
        except BaseException as error:  # whoever waits must hear of it, and later batches must still be scored
            for _, future in batch:
                if not future.done():
                    future.set_exception(error)
