"""The service as a web application: FastAPI for what people and Prometheus ask, a plain ASGI path for rewards.

The plain path is there because 128 rollouts come at once and the trainer waits for the last: a call costs one parse
of its body and no validation by a framework. The bodies are ours to check in any case.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import time
from typing import TYPE_CHECKING, Any

from lrmctl.errors import RewardError
from lrmctl.rewards.batcher import Batcher
from lrmctl.rewards.scorer_handle import Job
from lrmctl.rewards.service_book import Book
from lrmctl.rewards.service_metrics import CONTENT_TYPE_LATEST, ServiceMetrics
from lrmctl.rewards.service_spec import ServiceSpec
from lrmctl.rewards.wire import decode_call, metric_of, read_call

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.types import ASGIApp, Receive, Scope, Send

_JSON = (b"content-type", b"application/json")


class _TooLarge(Exception):
    """A body over the limit; it has been read to its end and thrown away."""


class App:
    """ASGI application.

    Routes: `POST /reward`, `GET /healthz`, `GET /metrics`. With a token, a call needs `Authorization: Bearer TOKEN` or
    a path that starts with the token: OpenRLHF sends no header.
    """

    def __init__(self, spec: ServiceSpec, book: Book, batcher: Batcher, metrics: ServiceMetrics) -> None:
        self._spec, self._book, self._batcher, self._metrics = spec, book, batcher, metrics
        self._token = spec.token.encode()
        self._began = time.monotonic()
        self._pages = _pages(self._health, metrics)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._pages(scope, receive, send)
        elif (path := self._allowed(scope)) is None:
            self._metrics.refused("token")
            await _answer(send, 401, b'{"error": "a token is needed"}', (b"www-authenticate", b"Bearer"))
        elif path == "/reward" and scope["method"] == "POST":
            await self._reward(receive, send)
        else:
            await self._pages({**scope, "path": path, "raw_path": path.encode()}, receive, send)

    def _allowed(self, scope: Scope) -> str | None:
        """The path without the token; None for who does not know it."""
        path: str = scope["path"]
        if not self._token:
            return path
        given = next((value for name, value in scope["headers"] if name == b"authorization"), b"")
        if given[:7].lower() == b"bearer " and hmac.compare_digest(given[7:].strip(), self._token):
            return path
        _, first, *rest = path.split("/", 2)
        if hmac.compare_digest(first.encode(), self._token):
            return "/" + "".join(rest)
        return None

    async def _reward(self, receive: Receive, send: Send) -> None:
        try:
            body = await self._body(receive)
            if body is None:
                return
            if self._batcher.waiting >= self._spec.max_waiting or self._batcher.weight > self._spec.max_waiting_bytes:
                self._metrics.refused("full")
                await _answer(send, 503, b'{"error": "too many rollouts wait"}', (b"retry-after", b"1"))
                return
            reply = await self._scored(body, getattr(receive, "__self__", None))
        except _TooLarge as error:
            reply = self._book.neutral() if self._book.policy.failure else self._book.fail(None, "", str(error))
        except asyncio.CancelledError:
            raise
        except Exception as error:  # not the reward's: ours. It must reach the user all the same
            self._book.end(error)
            reply = self._book.neutral()
        await _answer(send, 200, reply)

    async def _scored(self, body: bytes, caller: Any) -> bytes:
        """The reply to one call: valid, whatever happens."""
        book, trace, metric = self._book, None, ""
        if book.policy.failure is not None:
            return book.neutral()
        try:
            call = read_call(body)
            metric = metric_of(call.label)
            trace = decode_call(*call, self._spec.end_tokens)
        except RewardError as error:
            return book.fail(trace, metric, error.what)
        key = hashlib.blake2b(body, digest_size=16).digest()
        future = asyncio.get_running_loop().create_future()
        job = Job(trace, metric, key, len(body), time.monotonic(), future, caller)
        if known := self._batcher.quarantine.get(key):
            book.settle([job], [known])
        else:
            self._batcher.submit(job)
        reply: bytes = await future
        return reply

    async def _body(self, receive: Receive) -> bytes | None:
        """The body of a call; None if the caller has gone.

        Raises:
            _TooLarge: it is over the limit.
        """
        chunks, size, limit = [], 0, self._spec.max_body
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return None
            size += len(message["body"])
            if size <= limit:
                chunks.append(message["body"])
            if not message.get("more_body"):
                break
        if size > limit:
            raise _TooLarge(f"a rollout of {size / 2**20:.1f} MiB is more than the {limit / 2**20:g} MiB that are read")
        return b"".join(chunks)

    def _health(self) -> tuple[int, dict[str, Any]]:
        policy, failure = self._book.policy, self._book.policy.failure
        fine = failure is None and self._batcher.ready > 0
        status = "failed" if failure else "ok" if fine else "loading"
        return (200 if fine else 503), {
            "status": status,
            "error": str(failure or ""),
            "components": list(self._book.names),
            "rollouts": policy.rollouts,
            "failed": policy.failed,
            "waiting": self._batcher.waiting,
            "workers": self._batcher.ready,
            "worker_restarts": self._batcher.restarts,
            "max_batch": self._batcher.max_batch,
            "judges": self._batcher.judges,
            "uptime": round(time.monotonic() - self._began, 3),
        }


def _pages(health: Any, metrics: ServiceMetrics) -> ASGIApp:
    from fastapi import FastAPI
    from starlette.responses import JSONResponse, PlainTextResponse

    async def healthz(_: Request) -> Response:
        status, facts = health()
        return JSONResponse(facts, status)

    async def figures(_: Request) -> Response:
        return PlainTextResponse(metrics.text(), media_type=CONTENT_TYPE_LATEST)

    app = FastAPI(openapi_url=None)
    app.add_route("/healthz", healthz, methods=["GET"])
    app.add_route("/metrics", figures, methods=["GET"])
    return app


async def _answer(send: Send, status: int, body: bytes, *headers: tuple[bytes, bytes]) -> None:
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": status, "headers": [_JSON, length, *headers]})
    await send({"type": "http.response.body", "body": body})
