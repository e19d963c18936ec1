"""A scorer process from the event loop's side: its current work, its messages, its end."""

from __future__ import annotations

import asyncio
import os
import pickle
import socket
import struct
import time
from dataclasses import dataclass, field
from typing import Any, Protocol

from lrmctl._util.child_process import ChildProcess, how_it_ended
from lrmctl.rewards.compose import GroupToScore
from lrmctl.rewards.service.config import ServiceSpec
from lrmctl.types import Trace

_HEAD = struct.Struct("!i")  # how `multiprocessing.connection.Connection` frames messages below 2 GiB
_LONG = struct.Struct("!Q")


@dataclass
class IsolationRun:
    """Rollouts that are retried one at a time, because together they hung or killed a scorer.

    Attributes:
        left: rollouts without an outcome yet.
        slow: they exceeded the time limit, so if none of them hangs alone they were only slow.
        is_culprit: one of them was the cause.
    """

    left: int
    slow: bool
    is_culprit: bool = False


@dataclass(slots=True, eq=False)
class ScoringJob:
    """A rollout that waits for its reward.

    Attributes:
        key: identifies a repeated call.
        weight: size of the call in bytes.
        arrived: time of arrival, by `time.monotonic`.
        future: receives the reply.
        caller: has `disconnected`, True once the caller is gone.
        row: row of the training data, if the label has its number.
    """

    trace: Trace
    metric: str
    key: bytes
    weight: int
    arrived: float
    future: asyncio.Future[bytes]
    caller: Any = None
    isolation: IsolationRun | None = None
    row: int | None = None

    @property
    def gone(self) -> bool:
        return bool(getattr(self.caller, "disconnected", False))

    @property
    def phase(self) -> str:
        return "eval" if self.metric else "train"

    @property
    def item(self) -> Trace:
        """What the scorer gets."""
        return self.trace

    @property
    def size(self) -> int:
        """Number of rollouts."""
        return 1


@dataclass(slots=True, eq=False)
class GroupJob:
    """The samples of a prompt that wait to be compared, by components that need all of them.

    Attributes:
        members: whose rollouts they are; known to the sender.
        key: identifies a repeated call.
        arrived: time when the group was complete, by `time.monotonic`.
    """

    item: GroupToScore
    members: Any
    key: bytes
    arrived: float
    weight: int = 0
    gone: bool = False
    isolation: IsolationRun | None = None

    @property
    def size(self) -> int:
        """Number of rollouts."""
        return len(self.item.traces)


AnyJob = ScoringJob | GroupJob


@dataclass(slots=True, eq=False)
class ScoringBatch:
    """Jobs sent to a scorer together; `at` is the current component of a single job."""

    jobs: list[AnyJob]
    started: float
    at: str = ""

    @property
    def isolation(self) -> IsolationRun | None:
        return self.jobs[0].isolation


class WorkerListener(Protocol):
    """Receives the messages of a scorer."""

    def scorer_ready(self, scorer: ScorerHandle) -> None: ...
    def scorer_broken(self, scorer: ScorerHandle, error: Exception) -> None: ...
    def scorer_done(self, scorer: ScorerHandle, batch: ScoringBatch, rewards: Any) -> None: ...
    def scorer_died(self, scorer: ScorerHandle, how: str) -> None: ...


@dataclass(eq=False)
class ScorerHandle:
    """Starts the process; `judges` are the latest statistics of its judges."""

    spec: ServiceSpec
    boss: WorkerListener
    ready: bool = False
    dead: bool = False
    batches: dict[int, ScoringBatch] = field(default_factory=dict)
    judges: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._number = 0
        self._child = ChildProcess("lrmctl-scorer", "lrmctl.rewards.service.worker:run", self.spec, log=self.spec.log)
        self._socket = socket.socket(fileno=os.dup(self._child.pipe.fileno()))
        self._child.close()
        self._task = asyncio.get_running_loop().create_task(self._listen())
        self._writer: asyncio.StreamWriter | None = None

    @property
    def started(self) -> float:
        """Time when the newest batch was sent; 0 if there is none."""
        return max((b.started for b in self.batches.values()), default=0.0)

    @property
    def sent(self) -> int:
        """Number of batches sent to this process."""
        return self._number

    def send(self, jobs: list[AnyJob]) -> None:
        """Score these jobs together."""
        assert self._writer is not None
        self._number += 1
        self.batches[self._number] = ScoringBatch(jobs, time.monotonic())
        data = pickle.dumps((self._number, [job.item for job in jobs]), pickle.HIGHEST_PROTOCOL)
        head = _HEAD.pack(len(data)) if len(data) <= 0x7FFFFFFF else _HEAD.pack(-1) + _LONG.pack(len(data))
        self._writer.write(head + data)

    def kill(self) -> None:
        """Kill it at once, and ignore further messages."""
        self.dead = True
        self._task.cancel()
        if self._writer is not None:
            self._writer.transport.abort()
        self._child.kill()

    def look(self) -> None:
        """Detect a death that the pipe does not show because another process holds its other end open."""
        if not self.dead and self._child.process.poll() is not None:
            self._died()

    async def _listen(self) -> None:
        try:
            reader, self._writer = await asyncio.open_unix_connection(sock=self._socket)
            while True:
                self._heard(await self._message(reader))
        except (asyncio.IncompleteReadError, OSError, pickle.UnpicklingError):
            await self._wait_for_the_end()
            if not self.dead:
                self._died()

    async def _message(self, reader: asyncio.StreamReader) -> bytes:
        (length,) = _HEAD.unpack(await reader.readexactly(_HEAD.size))
        if length == -1:
            (length,) = _LONG.unpack(await reader.readexactly(_LONG.size))
        return await reader.readexactly(length)

    async def _wait_for_the_end(self) -> None:
        """Wait for the exit code, which says why it ended; on a busy machine it comes seconds after the pipe closes."""
        for _ in range(500):
            if self._child.process.poll() is not None:
                return
            await asyncio.sleep(0.02)

    def _died(self) -> None:
        self.dead = True
        self._task.cancel()
        code = self._child.process.poll()
        self._child.kill()  # together with everything it has started
        self.boss.scorer_died(self, how_it_ended(code))

    def _heard(self, data: bytes) -> None:
        try:
            message = pickle.loads(data)
        except Exception as error:  # e.g. a score of a class that only the scorer has
            self._unreadable(error)
            return
        match message:
            case ("ready",):
                self.ready = True
                self.boss.scorer_ready(self)
            case ("broken", error):
                self.boss.scorer_broken(self, error)
            case ("at", number, component) if number in self.batches:
                self.batches[number].at = component
            case ("done", number, rewards, judges):
                self.judges = judges or self.judges
                if batch := self.batches.pop(number, None):
                    self.boss.scorer_done(self, batch, rewards)

    def _unreadable(self, error: Exception) -> None:
        for batch in list(self.batches.values()):
            self.boss.scorer_done(self, batch, f"the scores cannot be read: {type(error).__name__}: {error}")
        self.batches.clear()
