"""A small pool of worker processes for long stages, which report events and leave no orphans.

A worker exits when its parent dies, however that happens, and treats SIGTERM as Ctrl-C, so that its work can clean up.
Knows nothing of studies.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from types import FrameType, TracebackType
from typing import Any

CLEANUP_SECONDS = 30.0

_outbox: Any = None  # the worker's end of the event pipe, and the lock that all workers share for writing
_lock: Any = None
_idle = threading.Event()  # set while the worker runs no call
_idle.set()


class Workers:
    """Up to `jobs` processes at a time; each call gets an `emit` callback as its last argument."""

    def __init__(self, jobs: int, *, fresh: bool = False) -> None:
        """Create the pool.

        Args:
            fresh: start a new process for each call, e.g. because a process cannot change its GPUs.
        """
        self._context = multiprocessing.get_context("spawn")
        self._jobs, self._fresh = jobs, fresh
        self._inbox, self._outbox = self._context.Pipe(duplex=False)
        self._lock = self._context.Lock()
        self._running: dict[str, Future[None]] = {}
        self._pools: dict[str, ProcessPoolExecutor] = {} if fresh else {"": self._pool(jobs)}

    def _pool(self, jobs: int) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(
            jobs,
            mp_context=self._context,
            initializer=_init_worker,
            initargs=(self._outbox, self._lock, os.getpid()),
        )

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: TracebackType | BaseException | None) -> None:
        for pool in self._pools.values():
            for process in list((pool._processes or {}).values()):
                if kind is not None:
                    process.terminate()
        for pool in self._pools.values():
            pool.shutdown(wait=True, cancel_futures=True)

    @property
    def free(self) -> bool:
        return len(self._running) < self._jobs

    @property
    def busy(self) -> bool:
        """Whether a call is running."""
        return bool(self._running)

    def start(
        self, name: str, function: Callable[..., None], argument: Any, env: Mapping[str, str] | None = None
    ) -> None:
        """Call a function in a worker.

        Args:
            env: environment variables to set for the call; they stay set in its process.
        """
        if self._fresh:
            self._pools[name] = self._pool(1)
        pool = self._pools[name if self._fresh else ""]
        self._running[name] = pool.submit(_call, function, argument, dict(env or {}))

    def events(self, wait: float = 0.2) -> Iterator[Any]:
        """Events received so far; waits at most `wait` seconds for the first."""
        while self._inbox.poll(wait):
            yield self._inbox.recv()
            wait = 0.0

    def finished(self) -> Iterator[tuple[str, Exception | None]]:
        """Calls that have ended, each with its exception or None. A worker that died counts as an exception."""
        for name in [n for n, f in self._running.items() if f.done()]:
            error = self._running.pop(name).exception()
            if self._fresh:
                self._pools.pop(name).shutdown(wait=False)
            if isinstance(error, BrokenProcessPool):
                error = RuntimeError(f"the process running {name} died (killed, or out of memory)")
            if error is not None and not isinstance(error, Exception):
                raise error
            yield name, error


def _init_worker(outbox: Any, lock: Any, parent: int) -> None:
    global _outbox, _lock
    _outbox, _lock = outbox, lock
    signal.signal(signal.SIGTERM, _interrupt)
    threading.Thread(target=_follow, args=(parent,), daemon=True).start()


def _interrupt(_signum: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _follow(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.5)
    os.kill(os.getpid(), signal.SIGTERM)
    _idle.wait(CLEANUP_SECONDS)  # an idle worker blocks in C code, where Python's signal handler does not run
    os._exit(1)


def _call(function: Callable[..., None], argument: Any, env: Mapping[str, str]) -> None:
    os.environ.update(env)
    _idle.clear()
    try:
        function(argument, _emit)
    finally:
        _idle.set()


def _emit(event: Any) -> None:
    with _lock:  # sent before the call ends; a queue's feeder thread could lose the last event
        _outbox.send(event)
