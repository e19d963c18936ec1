"""The service's own process: web server, ledger and scorers, on a socket that its parent opened.

Messages to the parent: `("counts", rollouts, failed)`, `("failure", error)`. The parent sends `"stop"`.
"""

from __future__ import annotations

import os
import pickle
import resource
import select
import socket
import threading
from contextlib import suppress
from multiprocessing.connection import Connection

from lrmctl.rewards.service.access import impatient_protocol
from lrmctl.rewards.service.app import App
from lrmctl.rewards.service.batcher import Batcher
from lrmctl.rewards.service.config import ServiceSpec
from lrmctl.rewards.service.errors import as_lrmctl_error
from lrmctl.rewards.service.gather import GroupGatherer
from lrmctl.rewards.service.ledger import RolloutLedger
from lrmctl.rewards.service.metrics import ServiceMetrics


def run(argument: tuple[ServiceSpec, float], pipe: Connection, sockets: list[socket.socket]) -> None:
    """The process: serve until the parent sends stop or is gone."""
    import uvloop

    _open_many_files()
    spec, began = argument
    uvloop.run(_serve(spec, began, pipe, sockets[0]))
    pipe.close()
    os._exit(0)


async def _serve(spec: ServiceSpec, began: float, pipe: Connection, listener: socket.socket) -> None:
    parent = _Parent(pipe)
    metrics = ServiceMetrics([c.label for c in spec.section.components])
    book = RolloutLedger(spec, metrics, began, parent.told)
    gatherer = GroupGatherer(spec, book)
    batcher = Batcher(spec, gatherer.settle, gatherer.end, metrics.batch, metrics.restarted)
    gatherer.submit = batcher.submit
    metrics.watch(
        lambda: batcher.waiting + gatherer.waiting,
        lambda: batcher.ready,
        lambda: {"groups": book.groups.complete, "groups_without_variance": book.groups.flat},
        lambda: batcher.judges,
    )
    batcher.start()  # the scorers load while this process does
    import uvicorn

    app = App(spec, book, batcher, gatherer, metrics)
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        lifespan="off",
        timeout_graceful_shutdown=1,
        backlog=2048,
        http=impatient_protocol(),
        ws="none",
        server_header=False,
        date_header=False,
    )
    server = uvicorn.Server(config)
    parent.on_stop(lambda: setattr(server, "should_exit", True))
    parent.told(book)
    try:
        await server.serve(sockets=[listener])
    finally:
        batcher.stop()
        book.close()


class _Parent:
    """The process that started this one."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        self._last = (-1, -1)
        self._failed = False

    def told(self, book: RolloutLedger) -> None:
        """Report changes to the parent. Counts are skipped while it does not read: the next ones include them."""
        policy = book.policy
        with suppress(OSError):  # the parent is gone, and this process will be soon
            if policy.failure is not None and not self._failed:
                self._pipe.send(("failure", _picklable(policy.failure)))
                self._failed = True
            counts = (policy.rollouts, policy.failed)
            if counts != self._last and select.select([], [self._pipe], [], 0)[1]:
                self._pipe.send(("counts", *counts))
                self._last = counts

    def on_stop(self, stop: object) -> None:
        """Call `stop` when the parent says so; end at once when it is gone."""
        threading.Thread(target=self._listen, args=(stop,), name="lrmctl-parent", daemon=True).start()

    def _listen(self, stop: object) -> None:
        try:
            while self._pipe.recv() != "stop":
                pass
        except (EOFError, OSError):
            os._exit(1)  # the scorers see their pipes close
        assert callable(stop)
        stop()


def _picklable(error: Exception) -> Exception:
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return as_lrmctl_error(error)
    return error


def _open_many_files() -> None:
    """Raise the limit of open files: one step's rollouts use a connection each; the usual limit is 1024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 65536), hard))
