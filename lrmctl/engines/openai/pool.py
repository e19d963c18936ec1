"""Many requests to several servers at once: each server has as many as it may, one that is away has none.

Servers pull work, so that the fastest does most of it. What one could not answer goes to whichever is free. A server
that does not answer rests, is looked at with growing pauses, and works on when it is back; requests fail when all
have been away for `patience` seconds. Knows requests as numbers and bodies, and nothing of what is in them.
"""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from typing import Any

import httpx

from lrmctl.engines.openai.responses import short, told_error
from lrmctl.engines.openai.retry import (
    AGAIN,
    LONGEST,
    CircuitBreaker,
    RateLimiter,
    TryAgainError,
    named,
    pause_after,
    place_of,
    refused,
    retry_after,
)
from lrmctl.errors import LrmctlError

_SICK = 3  # errors in a row after which it is the server, not the request
_REFUSALS = {401: 1, 404: 1, 403: 8}
"""Refusals before any answer after which nothing can be hoped for. Some firewalls answer single prompts with 403."""
_BUSY = (429, 502, 503, 504, 529)
"""A server that wants to be left alone, or is not there behind its proxy. Other errors may be those of one request."""
_OPENING = 10.0  # seconds for a connection, and for an answer to "are you there"

Body = Callable[[int], tuple[str, dict[str, Any]]]
"""Path and JSON body of a request, by its number."""


@dataclass(frozen=True)
class RequestOutcome:
    """What a server answered, or why there is no answer."""

    data: bytes = b""
    error: str = ""


@dataclass
class Server:
    """One server, as far as it is known.

    Attributes:
        rest: monotonic seconds before which it is left alone.
        away: it could not be reached; a look at it comes before any work.
        errors: in a row.
    """

    url: str
    outage: CircuitBreaker
    rest: float = 0.0
    away: bool = False
    errors: int = 0

    @property
    def place(self) -> str:
        return place_of(self.url)

    @property
    def resting(self) -> bool:
        return self.away or self.rest > time.monotonic()

    def failed(self, after: float, away: bool) -> None:
        """Take down a failure; requests that were under way together count as one."""
        self.outage.failed()
        now = time.monotonic()
        self.away |= away
        if self.rest > now and not after:
            return
        self.errors += 1
        if after or away or self.errors >= _SICK:
            self.rest = max(self.rest, now + max(after, pause_after(self.errors)))

    def answered(self) -> None:
        self.outage.ended()
        self.away, self.errors = False, 0

    def given_up(self, patience: float) -> bool:
        """Whether it has been away for too long, or says that it will be."""
        lasts = self.outage.lasts
        rest = self.rest - time.monotonic()
        return (lasts is not None and lasts >= patience) or (rest > LONGEST and (lasts or 0.0) + rest > patience)


@dataclass
class RequestAttempts:
    """The failures of one request so far."""

    since: float
    count: int = 0
    error: str = ""


class EndpointPool:
    """The servers of one model.

    Args:
        urls: base URLs.
        concurrency: requests under way at the same time, for each server.
        timeout: seconds of silence.
        patience: seconds for which servers may be away, and one request may fail, before it counts as failed.
        variable: that holds the key, for error texts.
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
        self.pace = RateLimiter(per_minute)
        self.answers = 0
        self.refusals = 0

    def ask(self, count: int, body: Body, headers: Mapping[str, str]) -> Iterator[list[tuple[int, RequestOutcome]]]:
        """All requests 0 to `count` - 1, as they are answered; each once. Leaving the iterator drops the others.

        Raises:
            LrmctlError: the servers refuse the key or do not know the model.
        """
        if count == 0:
            return
        run = _Run(self, count, body, headers)
        thread = threading.Thread(target=run.start, name="servers", daemon=True)
        thread.start()
        try:
            while count > 0 and (found := run.arrived()):
                count -= len(found)
                yield found
            if run.broken:
                raise run.broken
        finally:
            run.stop()
            thread.join(_OPENING)

    def refuse(self, server: Server, status: int, words: str) -> str:
        """The error of an answer that asking again cannot mend.

        Raises:
            LrmctlError: it is the same for every request.
        """
        whose = f"the server at {server.place}"
        text = refused(whose, status, words, model=self.model, variable=self.variable)
        self.refusals += 1
        if not self.answers and self.refusals >= _REFUSALS.get(status, 1 << 60):
            what, _, fix = text.partition("; ")
            raise LrmctlError(what, "engine.base_url", fix)
        return text


@dataclass
class _Run:
    """One call of `ask`: an event loop in a thread of its own, which the caller's interrupt can end at any time."""

    fleet: EndpointPool
    count: int
    body: Body
    headers: Mapping[str, str]
    broken: BaseException | None = None
    out: queue.SimpleQueue[tuple[int, RequestOutcome] | None] = field(default_factory=queue.SimpleQueue)
    tries: dict[int, RequestAttempts] = field(default_factory=dict)
    _begun: threading.Event = field(default_factory=threading.Event)

    def start(self) -> None:
        try:
            with asyncio.Runner() as runner:
                self._loop = runner.get_loop()
                runner.run(self._all())
        except asyncio.CancelledError:
            pass
        except BaseException as error:  # told to the caller, who raises it
            self.broken = error
        finally:
            self._begun.set()
            self.out.put(None)

    def stop(self) -> None:
        self._begun.wait(_OPENING)
        with suppress(RuntimeError):  # ended already
            self._loop.call_soon_threadsafe(self._stopping.set)

    def arrived(self) -> list[tuple[int, RequestOutcome]]:
        """What has come, at least one; empty at the end."""
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

    async def _all(self) -> None:
        self._stopping = asyncio.Event()
        self._todo: asyncio.PriorityQueue[int] = asyncio.PriorityQueue()
        self._begun.set()
        for i in range(self.count):
            self._todo.put_nowait(i)
        async with AsyncExitStack() as stack:
            work = []
            for server in self.fleet.servers:
                server.rest = 0.0
                limits = httpx.Limits(max_connections=None, max_keepalive_connections=self.fleet.concurrency)
                client = httpx.AsyncClient(limits=limits, timeout=self.fleet.timeout, headers=dict(self.headers))
                work.append((server, await stack.enter_async_context(client), asyncio.Lock()))
            first = min(self.fleet.concurrency, self.count)
            tasks: list[asyncio.Future[Any]] = [asyncio.ensure_future(self._stopping.wait())]
            tasks += [asyncio.ensure_future(self._work(*one)) for _ in range(first) for one in work]
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            for task in done:
                task.result()

    async def _work(self, server: Server, client: httpx.AsyncClient, turn: asyncio.Lock) -> None:
        """One of a server's slots: takes requests for as long as there are any."""
        while True:
            while server.resting:
                async with turn:
                    await self._look(server, client)
            i = await self._todo.get()
            if server.resting:
                self._todo.put_nowait(i)
                continue
            await self._try(i, server, client)

    async def _look(self, server: Server, client: httpx.AsyncClient) -> None:
        """Wait for a server's rest to end, and see whether it is there if it was not."""
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

    async def _try(self, i: int, server: Server, client: httpx.AsyncClient) -> None:
        began = time.monotonic()
        try:
            if pause := self.fleet.pace.reserve():
                await asyncio.sleep(pause)
            outcome = await self._post(i, server, client)
        except TryAgainError as error:
            self._again(i, server, error, time.monotonic() - began)
            return
        except LrmctlError:
            raise
        except Exception as error:  # a body that cannot be encoded, say: the fault of one request
            outcome = RequestOutcome(error=f"the server cannot be asked: {named(error)}")
        self._done(i, outcome)

    async def _post(self, i: int, server: Server, client: httpx.AsyncClient) -> RequestOutcome:
        path, body = self.body(i)
        try:
            answer = await client.post(server.url + path, json=body)
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
            return RequestOutcome(error=self.fleet.refuse(server, status, words or short(answer.content)))
        self.fleet.answers += 1
        return RequestOutcome(answer.content)

    def _again(self, i: int, server: Server, error: TryAgainError, lasted: float) -> None:
        """Give a request to whoever is next, unless patience with it or with all servers is over."""
        now = time.monotonic()
        mine = self.tries.setdefault(i, RequestAttempts(now))
        mine.count, mine.error = mine.count + 1, str(error)
        if server.away and lasted > self.fleet.patience and mine.count < _SICK:
            mine.since = now  # it was worked at for longer than that before its server went away
        if now - mine.since >= self.fleet.patience:
            self._fail(i)
        elif server.resting:
            self._todo.put_nowait(i)
        else:
            asyncio.get_running_loop().call_later(pause_after(mine.count), self._return, i)
        self._give_up(str(error))

    def _return(self, i: int) -> None:
        self._todo.put_nowait(i)
        self._give_up(self.tries[i].error)

    def _give_up(self, error: str) -> None:
        """Fail everything that waits, if all servers have been away for too long."""
        if all(server.given_up(self.fleet.patience) for server in self.fleet.servers):
            while not self._todo.empty():
                i = self._todo.get_nowait()
                self.tries.setdefault(i, RequestAttempts(0.0, 0, error))
                self._fail(i)

    def _fail(self, i: int) -> None:
        mine = self.tries[i]
        times = "time" if mine.count == 1 else "times"
        self._done(i, RequestOutcome(error=f"{mine.error} (asked {mine.count} {times})"))

    def _done(self, i: int, outcome: RequestOutcome) -> None:
        self.tries.pop(i, None)
        self.out.put((i, outcome))
