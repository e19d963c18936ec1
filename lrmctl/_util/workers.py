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
from collections.abc import Callable, Iterator
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
    """A pool of `jobs` processes; each call gets an `emit` callback as its last argument."""

    def __init__(self, jobs: int) -> None:
        context = multiprocessing.get_context("spawn")
        self._jobs = jobs
        self._inbox, outbox = context.Pipe(duplex=False)
        self._running: dict[str, Future[None]] = {}
        self._pool = ProcessPoolExecutor(
            jobs, mp_context=context, initializer=_init_worker, initargs=(outbox, context.Lock(), os.getpid())
        )

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: TracebackType | BaseException | None) -> None:
        processes = list((self._pool._processes or {}).values())
        if kind is not None:
            for process in processes:
                process.terminate()
        self._pool.shutdown(wait=True, cancel_futures=True)

    @property
    def free(self) -> bool:
        return len(self._running) < self._jobs

    def start(self, name: str, function: Callable[..., None], argument: Any) -> None:
        self._running[name] = self._pool.submit(_call, function, argument)

    def events(self, wait: float = 0.2) -> Iterator[Any]:
        """Events received so far; waits at most `wait` seconds for the first."""
        while self._inbox.poll(wait):
            yield self._inbox.recv()
            wait = 0.0

    def finished(self) -> Iterator[tuple[str, Exception | None]]:
        """Calls that have ended, each with its exception or None. A worker that died counts as an exception."""
        for name in [n for n, f in self._running.items() if f.done()]:
            error = self._running.pop(name).exception()
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


def _call(function: Callable[..., None], argument: Any) -> None:
    _idle.clear()
    try:
        function(argument, _emit)
    finally:
        _idle.set()


def _emit(event: Any) -> None:
    with _lock:  # sent before the call ends; a queue's feeder thread could lose the last event
        _outbox.send(event)
