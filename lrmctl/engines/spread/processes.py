"""Workers as processes of this machine, each of which sees one GPU."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from queue import SimpleQueue
from typing import Any

from lrmctl._util.accelerators import VISIBLE
from lrmctl._util.child_process import ChildProcess, how_it_ended
from lrmctl.engines.spread.crew import Call, ChildEngine, Crew, Failed, Message, Started, answers, died

_THREADS = "OMP_NUM_THREADS"
_FOLLOW = 0.5
"""Seconds between two looks at the parent."""
_PATIENCE = 10.0
"""Seconds for a process to end whose pipe is closed."""


class ProcessCrew(Crew):
    """Worker processes.

    A worker ends with this process, however that ends. Ctrl-C reaches this process alone, which ends its workers.

    Args:
        gpus: as `CUDA_VISIBLE_DEVICES` names them; more workers than GPUs share them. Empty for CPU, whose cores are
            divided among the workers unless `OMP_NUM_THREADS` is set.
        device: `auto`, `cpu` or `cuda`.
    """

    def __init__(self, count: int, gpus: Sequence[str] = (), device: str = "auto") -> None:
        super().__init__(count)
        self._gpus = tuple(gpus)
        self._device = device
        self._workers: dict[int, ChildProcess] = {}

    @property
    def device(self) -> str:
        if self._device == "auto":
            return "cuda" if self._gpus else "cpu"
        return self._device

    @property
    def pids(self) -> list[int]:
        """Process ids of the running workers."""
        return [each.process.pid for each in self._workers.values()]

    def label(self, worker: int) -> str:
        where = f"GPU {self._gpu(worker)}" if self._gpus else "CPU"
        return f"worker {worker + 1} of {self.count} on {where}"

    def start(self, worker: int, child: ChildEngine) -> None:
        if self._gpus:
            env = {VISIBLE: self._gpu(worker)}
        else:
            threads = max(1, len(os.sched_getaffinity(0)) // self.count)
            env = {_THREADS: os.environ.get(_THREADS) or str(threads)}
        told = (child, self.label(worker), os.getpid())
        # not watched: the thread that starts it may end before the engine is released
        self._workers[worker] = ChildProcess("lrmctl-engine", f"{__name__}:work", told, env=env, watched=False)

    def send(self, worker: int, call: Call) -> None:
        with suppress(OSError):
            self._workers[worker].pipe.send(call)

    def receive(self) -> list[tuple[int, Message]]:
        pipes: dict[Any, int] = {each.pipe: worker for worker, each in self._workers.items()}
        return [(pipes[pipe], self._next(pipes[pipe])) for pipe in wait(list(pipes))]

    def stop(self) -> None:
        workers, self._workers = self._workers, {}
        for each in workers.values():
            each.kill()
            each.close()

    def _gpu(self, worker: int) -> str:
        return self._gpus[worker % len(self._gpus)]

    def _next(self, worker: int) -> Message:
        child = self._workers[worker]
        try:
            return child.pipe.recv()  # type: ignore[no-any-return]
        except (EOFError, OSError):
            code = child.end(_PATIENCE)
            del self._workers[worker]
            child.close()
            return Failed(died(f"{self.label(worker)} (process {child.process.pid})", how_it_ended(code)))


def work(told: tuple[ChildEngine, str, int], pipe: Connection, _sockets: Sequence[Any]) -> None:
    """A worker: answers calls until its parent closes the pipe or dies."""
    child, label, parent = told
    calls: SimpleQueue[Call] = SimpleQueue()
    threading.Thread(target=_listen, args=(pipe, calls, parent), daemon=True).start()
    engine = child.make()
    pipe.send(Started())
    with suppress(OSError):  # nobody waits for it any more
        while True:
            for message in answers(engine, calls.get(), label):
                pipe.send(message)


def _listen(pipe: Connection, calls: SimpleQueue[Call], parent: int) -> None:
    """Take calls while others are computed, and end the process at once when nobody waits for it."""
    with suppress(EOFError, OSError):
        while os.getppid() == parent:
            if pipe.poll(_FOLLOW):
                calls.put(pipe.recv())
    os._exit(0)
