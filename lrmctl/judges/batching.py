"""Merges questions of threads that use the same judge at the same time into few large calls.

There is no dispatcher thread: one of the waiting callers calls the judge for all of them (the leader), then hands the
lead to the first of those that arrived meanwhile. So a busy judge gets full batches without artificial delay. An idle
one waits for the window only if there were concurrent callers lately and a call takes longer than waiting. If a merged
call raises, no caller can be blamed: each caller's traces are then judged separately.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from threading import Event, Lock
from time import perf_counter
from typing import Any

from lrmctl.types import Part, Trace

Call = Callable[[Sequence[Trace], Part], Sequence[Any]]


@dataclass(eq=False)
class TraceBatch:
    """One caller's traces, judged in one call.

    Attributes:
        alone: must not be merged with others.
        results: one per trace, or any other number if the judge broke its contract.
        error: what the judge raised on these traces alone.
        leads: the owner makes the next call.
        wake: signals the owner that it has results, or the lead.
        finished: signals others who want the same verdicts that the owner is done, with or without results.
    """

    traces: Sequence[Trace]
    part: Part
    alone: bool = False
    results: Sequence[Any] | None = None
    error: BaseException | None = None
    leads: bool = False
    wake: Event = field(default_factory=Event)
    finished: Event = field(default_factory=Event)

    @property
    def done(self) -> bool:
        return self.results is not None or self.error is not None


class QueryBatcher:
    """The queue in front of one judge.

    Args:
        call: calls the judge.
        limits: the window in seconds and the most traces of a merged call, read anew for every batch.
        parallel: concurrent calls.

    Attributes:
        calls, seconds: number of calls so far, and their total duration.
    """

    def __init__(self, call: Call, limits: Callable[[], tuple[float, int]], parallel: int = 1) -> None:
        self._call, self._limits, self._free = call, limits, parallel
        self._lock, self._queue = Lock(), deque[TraceBatch]()
        self._full = Event()
        self._company, self._last = False, 0.0
        self.calls, self.seconds = 0, 0.0

    def run(self, group: TraceBatch) -> None:
        """Judge a batch; returns once its results, or its error, are there.

        A caller's traces are never split, however many there are.
        """
        try:
            self._enter(group)
            while not group.done:
                if group.leads:
                    self._lead(group)
                else:
                    group.wake.wait()
                    group.wake.clear()
        finally:
            self._leave(group)

    def _enter(self, group: TraceBatch) -> None:
        with self._lock:
            self._queue.append(group)
            if self._free:
                self._free -= 1
                group.leads = True
            elif sum(len(g.traces) for g in self._queue) >= self._limits()[1]:
                self._full.set()

    def _lead(self, leader: TraceBatch) -> None:
        """Make one call for the head of the queue, then pass the lead on."""
        window, most = self._limits()
        pause = min(window, self._last / 4) if self._company else 0.0
        if pause and sum(len(g.traces) for g in list(self._queue)) < most:
            self._full.wait(pause)
        with self._lock:
            self._full.clear()
            batch = self._take(most)
        again: list[TraceBatch] = batch
        try:
            again = self._ask(batch)
        finally:  # also if the leader was interrupted, since the others were not
            with self._lock:
                self._queue.extendleft(g for g in reversed(again) if not g.done)
                self._hand_over(leader)
            for group in batch:
                group.wake.set()

    def _take(self, most: int) -> list[TraceBatch]:
        if not self._queue:
            return []
        first, rest = self._queue.popleft(), deque[TraceBatch]()
        batch, size = [first], len(first.traces)
        for group in self._queue:
            fits = group.part == first.part and size + len(group.traces) <= most
            if first.alone or group.alone or not fits:
                rest.append(group)
            else:
                batch.append(group)
                size += len(group.traces)
        self._queue = rest
        return batch

    def _ask(self, batch: list[TraceBatch]) -> list[TraceBatch]:
        """Put results or errors into the batches; returns those that must be retried separately."""
        if not batch:
            return []
        traces = [trace for group in batch for trace in group.traces]
        began = perf_counter()
        try:
            results = list(self._call(traces, batch[0].part))
        except (Exception, SystemExit) as error:  # a plugin may do anything; the error goes to the callers concerned
            if len(batch) == 1:
                batch[0].error = error
                return []
            return self._apart(batch)
        finally:
            self._count(perf_counter() - began, len(batch))
        if len(batch) == 1:
            batch[0].results = results
            return []
        if len(results) != len(traces):
            return self._apart(batch)
        rest = iter(results)
        for group in batch:
            group.results = [next(rest) for _ in group.traces]
        return []

    def _apart(self, batch: list[TraceBatch]) -> list[TraceBatch]:
        for group in batch:
            group.alone = True
        return batch

    def _count(self, seconds: float, callers: int) -> None:
        with self._lock:
            self.calls += 1
            self.seconds += seconds
            self._last, self._company = seconds, callers > 1 or len(self._queue) > 0

    def _hand_over(self, leader: TraceBatch) -> None:
        """Give the lead to the first waiting batch without it; called with the lock held."""
        leader.leads = False
        for group in self._queue:
            if not group.leads:
                group.leads = True
                group.wake.set()
                return
        self._free += 1

    def _leave(self, group: TraceBatch) -> None:
        """Clean up however the caller leaves: an interrupted one may be queued, or be the next leader."""
        with self._lock:
            if group in self._queue:
                self._queue.remove(group)
            if group.leads:
                self._hand_over(group)
