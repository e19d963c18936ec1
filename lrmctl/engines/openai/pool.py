"""Dispatches requests to several servers at once, up to each server's limit; one that is down gets none.

Servers pull work, so the fastest does most of it. A request that failed on one server goes to the next free one. A
server that does not answer is paused, probed at growing intervals, and used again when it is back; requests fail once
all servers have been down for `patience` seconds. All callers of a pool, from any thread, share its connections, queue
and limits. Knows requests as numbers and bodies, and nothing of their content.
"""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import httpx

from lrmctl.engines.openai.protocol import short, told_error
from lrmctl.engines.openai.retry import (
    AGAIN,
    SICK,
    CircuitBreaker,
    RateLimiter,
    Server,
    TryAgainError,
    is_too_long,
    named,
    pause_after,
    refused,
    retry_after,
)
from lrmctl.errors import LrmctlError

_REFUSALS = {401: 1, 404: 1, 403: 8}
"""Statuses that, before any answer, mean that no request will succeed. Some firewalls answer single prompts with
403."""
_BUSY = (429, 502, 503, 504, 529)
"""Statuses of a server that is overloaded, or down behind its proxy. Others may be caused by one request."""
_OPENING = 10.0  # seconds to connect, and for an answer to a probe

Body = Callable[[int], tuple[str, dict[str, Any]]]
"""Path and JSON body of a request, by its number."""


@dataclass(frozen=True)
class RequestOutcome:
    """A server's answer to a request, or why there is none.

    Attributes:
        too_long: the server rejected the request for its length; `error` says so.
    """

    data: bytes = b""
    error: str = ""
    too_long: bool = False


@dataclass
class RequestAttempts:
    """The failures of one request so far."""

    since: float
    count: int = 0
    error: str = ""


@dataclass(eq=False)
class _Batch:
    """The requests of one caller.

    Attributes:
        over: nobody waits for it any more.
        running: requests in progress.
    """

    count: int
    body: Body
    headers: Mapping[str, str]
    broken: BaseException | None = None
    over: bool = False
    out: queue.SimpleQueue[tuple[int, RequestOutcome] | None] = field(default_factory=queue.SimpleQueue)
    attempts: dict[int, RequestAttempts] = field(default_factory=dict)
    running: set[asyncio.Future[RequestOutcome]] = field(default_factory=set)

    def arrived(self) -> list[tuple[int, RequestOutcome]]:
        """Results that have arrived, at least one; empty if there will be no more."""
        found = []
        one = self.out.get()
        while one is not None:
            found.append(one)
            try:
                one = self.out.get_nowait()
            except queue.Empty:
                return found
        if found:
            self.out.put(None)
        return found

    def done(self, i: int, outcome: RequestOutcome) -> None:
        self.attempts.pop(i, None)
        self.out.put((i, outcome))

    def fail(self, i: int, error: str = "") -> None:
        """Fail a request with its last error, or with this one if it was never tried."""
        tried = self.attempts.get(i) or RequestAttempts(0.0, 0, error)
        times = "time" if tried.count == 1 else "times"
        self.done(i, RequestOutcome(error=f"{tried.error} (asked {tried.count} {times})"))

    def end(self, error: BaseException | None = None) -> None:
        """Drop all unanswered requests."""
        if not self.over:
            self.over, self.broken = True, error
            for task in self.running:
                task.cancel()
            self.out.put(None)


class EndpointPool:
    """The servers of one model.

    Args:
        urls: base URLs.
        concurrency: concurrent requests per server.
        timeout: seconds without data.
        patience: seconds for which servers may be down, and one request may fail, before it counts as failed.
        variable: environment variable of the key, for error messages.
    """

    def __init__(
        self,
        model: str,
        urls: Sequence[str],
        *,
        concurrency: int,
        timeout: float,
        patience: float,
        per_minute: int | None = None,
        variable: str | None = None,
    ) -> None:
        self.model, self.patience, self.variable, self.concurrency = model, patience, variable, concurrency
        self.timeout = httpx.Timeout(timeout, connect=min(_OPENING, timeout), pool=None)
        self.servers = [Server(url.rstrip("/"), CircuitBreaker(patience)) for url in urls]
        self.rate = RateLimiter(per_minute)
        self.answers = 0
        self.refusals = 0
        self._dispatcher: _Dispatcher | None = None
        self._starting = threading.Lock()

    def ask(self, count: int, body: Body, headers: Mapping[str, str]) -> Iterator[list[tuple[int, RequestOutcome]]]:
        """Results of requests 0 to `count` - 1, each once, as they arrive. Leaving the iterator drops the others.

        Raises:
            LrmctlError: the servers reject the key or do not know the model.
        """
        if count == 0:
            return
        with self._starting:
            if self._dispatcher is None or not self._dispatcher.alive:
                self._dispatcher = _Dispatcher(self)
            dispatcher = self._dispatcher
        batch = _Batch(count, body, headers)
        dispatcher.call(dispatcher.enter, batch)
        try:
            while count > 0 and (found := batch.arrived()):
                count -= len(found)
                yield found
            if batch.broken:
                raise batch.broken
        finally:
            dispatcher.call(dispatcher.leave, batch)

    def close(self) -> None:
        """Close all connections; the next request opens them again."""
        with self._starting:
            if self._dispatcher is not None:
                self._dispatcher.call(self._dispatcher.closing.set)
                self._dispatcher.thread.join(_OPENING)
            self._dispatcher = None

    def refuse(self, server: Server, status: int, words: str) -> str:
        """The error of an answer that a retry cannot fix.

        Raises:
            LrmctlError: the error applies to every request.
        """
        whose = f"the server at {server.place}"
        text = refused(whose, status, words, model=self.model, variable=self.variable)
        self.refusals += 1
        if not self.answers and self.refusals >= _REFUSALS.get(status, 1 << 60):
            what, _, fix = text.partition("; ")
            raise LrmctlError(what, "engine.base_url", fix)
        return text


class _Dispatcher:
    """The event loop of a pool, in its own thread: a caller's interrupt stops its batch and nothing else."""

    def __init__(self, pool: EndpointPool) -> None:
        self._pool = pool
        self._order = count()
        self._todo: asyncio.PriorityQueue[tuple[int, int, _Batch]] = asyncio.PriorityQueue()
        self._batches: set[_Batch] = set()
        self._workers: list[asyncio.Task[None]] = []
        self._clients: list[httpx.AsyncClient] = []
        self._turns = [asyncio.Lock() for _ in pool.servers]
        self.closing = asyncio.Event()
        self._loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self._run, name="servers", daemon=True)
        self.thread.start()

    @property
    def alive(self) -> bool:
        """False after an error in the loop, and in a forked child, which has no threads."""
        return self.thread.is_alive()

    def call(self, function: Callable[..., None], *args: Any) -> None:
        """Run a function in the loop's thread."""
        with suppress(RuntimeError):  # closed already
            self._loop.call_soon_threadsafe(function, *args)

    def enter(self, batch: _Batch) -> None:
        """Queue a batch behind the others, with as many workers as it can use."""
        pool = self._pool
        if not self._clients:
            limits = httpx.Limits(max_connections=None, max_keepalive_connections=pool.concurrency)
            self._clients = [httpx.AsyncClient(limits=limits, timeout=pool.timeout) for _ in pool.servers]
        if not self._batches:
            for server in pool.servers:
                server.rest = 0.0
        self._batches.add(batch)
        for i in range(batch.count):
            self._todo.put_nowait((next(self._order), i, batch))
        each = len(self._workers) // len(pool.servers)
        for _ in range(min(pool.concurrency, each + batch.count) - each):
            self._workers += [self._loop.create_task(self._work(k)) for k in range(len(pool.servers))]

    def leave(self, batch: _Batch) -> None:
        """Remove a batch."""
        batch.end()
        self._batches.discard(batch)

    def _run(self) -> None:
        error: BaseException = LrmctlError("the thread that asks the servers has ended")
        try:
            self._loop.run_until_complete(self._main())
        except BaseException as raised:  # passed to the callers, who raise it
            error = raised
        finally:
            for batch in self._batches:
                batch.end(error)
            self._loop.close()

    async def _main(self) -> None:
        await self.closing.wait()
        for task in self._workers:
            task.cancel()
        await asyncio.gather(*self._workers, return_exceptions=True)
        for client in self._clients:
            await client.aclose()

    async def _work(self, k: int) -> None:
        """One of a server's slots: processes requests while there are any."""
        server, client = self._pool.servers[k], self._clients[k]
        while True:
            order, i, batch = await self._todo.get()
            if batch.over:
                continue
            if server.resting:
                self._todo.put_nowait((order, i, batch))
                async with self._turns[k]:
                    await self._look(server, client)
                continue
            try:
                await self._try(order, i, batch, server, client)
            except Exception as error:  # the same for every request of the batch
                batch.end(error)

    async def _look(self, server: Server, client: httpx.AsyncClient) -> None:
        """Wait until a server's pause is over, and probe it if it was down."""
        if (pause := server.rest - time.monotonic()) > 0:
            await asyncio.sleep(pause)
        if not server.away:
            return
        try:
            answer = await client.get(server.url + "/models", timeout=_OPENING)
        except httpx.HTTPError as error:
            server.failed(0.0, True)
            self._give_up(f"the server at {server.place} does not answer: {named(error)}")
            return
        server.away = answer.status_code in _BUSY
        if server.away:
            server.failed(retry_after(answer), True)
            self._give_up(f"the server at {server.place} answers {answer.status_code}")

    async def _try(self, order: int, i: int, batch: _Batch, server: Server, client: httpx.AsyncClient) -> None:
        began = time.monotonic()
        task = asyncio.ensure_future(self._paced(i, batch, server, client))
        batch.running.add(task)
        try:
            outcome = await task
        except asyncio.CancelledError:
            if batch.over:
                return
            if self.closing.is_set():
                raise
            lost = TryAgainError(f"the connection to {server.place} was lost")  # cancelled inside the client
            self._again(order, i, batch, server, lost, time.monotonic() - began)
            return
        except TryAgainError as error:
            self._again(order, i, batch, server, error, time.monotonic() - began)
            return
        except LrmctlError:
            raise
        except Exception as error:  # e.g. a body that cannot be encoded: an error of one request
            outcome = RequestOutcome(error=f"the server cannot be asked: {named(error)}")
        finally:
            batch.running.discard(task)
        batch.done(i, outcome)

    async def _paced(self, i: int, batch: _Batch, server: Server, client: httpx.AsyncClient) -> RequestOutcome:
        if pause := self._pool.rate.reserve():
            await asyncio.sleep(pause)
        path, body = batch.body(i)
        try:
            answer = await client.post(server.url + path, json=body, headers=dict(batch.headers))
        except (httpx.TransportError, httpx.DecodingError) as error:
            slow = isinstance(error, httpx.ReadTimeout)
            server.failed(0.0, not slow)
            raise TryAgainError(f"the server at {server.place} does not answer: {named(error)}") from error
        status, words = answer.status_code, ""
        if status != 200 or b'"error"' in answer.content:
            words, inside = told_error(answer.content)
            status = inside if status == 200 and inside else status
        if status in AGAIN or status >= 500:
            busy = pause_after(server.errors + 1) if status in _BUSY else 0.0
            server.failed(retry_after(answer) or busy, False)
            what = f"the server at {server.place} answers {status}" + (f": {words}" if words else "")
            raise TryAgainError(what)
        server.answered()
        if status != 200:
            words = words or short(answer.content)
            why = self._pool.refuse(server, status, words)
            return RequestOutcome(error=why, too_long=is_too_long(status, words))
        self._pool.answers += 1
        return RequestOutcome(answer.content)

    def _again(self, order: int, i: int, batch: _Batch, server: Server, error: TryAgainError, lasted: float) -> None:
        """Requeue a request, unless the patience for it or for all servers is over."""
        now = time.monotonic()
        mine = batch.attempts.setdefault(i, RequestAttempts(now))
        mine.count, mine.error = mine.count + 1, str(error)
        if server.away and lasted > self._pool.patience and mine.count < SICK:
            mine.since = now  # it was tried for longer than that before its server went down
        if now - mine.since >= self._pool.patience:
            batch.fail(i)
        elif server.resting:
            self._todo.put_nowait((order, i, batch))
        else:
            self._loop.call_later(pause_after(mine.count), self._return, order, i, batch)
        self._give_up(str(error))

    def _return(self, order: int, i: int, batch: _Batch) -> None:
        self._todo.put_nowait((order, i, batch))
        if mine := batch.attempts.get(i):
            self._give_up(mine.error)

    def _give_up(self, error: str) -> None:
        """Fail all waiting requests if all servers have been down for too long."""
        if all(server.given_up(self._pool.patience) for server in self._pool.servers):
            while not self._todo.empty():
                _, i, batch = self._todo.get_nowait()
                if not batch.over:
                    batch.fail(i, error)
