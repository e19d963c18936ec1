"""The service as a web application: FastAPI for health and Prometheus, a plain ASGI path for rewards.

The plain path is there because 128 rollouts arrive at once and the trainer waits for the last: a call costs one parse
of its body and no validation by a framework. Bodies must be checked here in any case.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import sys
import time
from typing import TYPE_CHECKING, Any

from lrmctl.errors import RewardError
from lrmctl.rewards.service.access import (
    BODY_SECONDS,
    FULL,
    INCOMPLETE,
    KIND,
    LATE,
    NO_TOKEN,
    AccessControl,
    AccessDenied,
    is_json,
)
from lrmctl.rewards.service.batcher import Batcher, NoReward
from lrmctl.rewards.service.config import ServiceSpec
from lrmctl.rewards.service.gather import GroupGatherer
from lrmctl.rewards.service.held import AGAIN
from lrmctl.rewards.service.ledger import RolloutLedger
from lrmctl.rewards.service.metrics import CONTENT_TYPE_LATEST, ServiceMetrics
from lrmctl.rewards.service.protocol import decode_call, metric_of, read_call, row_of, unread
from lrmctl.rewards.service.worker_handle import ScoringJob
from lrmctl.rewards.tokens import TokenCounter

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.types import ASGIApp, Receive, Scope, Send

_JSON = (b"content-type", b"application/json")
_TOLD = 20
"""Number of different invalid calls that are reported on stderr."""


class App:
    """ASGI application.

    Routes: `POST /reward`, `GET /healthz`, `GET /metrics`. With a token, a call needs `Authorization: Bearer TOKEN` or
    a path that starts with the token: OpenRLHF sends no header.
    """

    def __init__(
        self,
        spec: ServiceSpec,
        book: RolloutLedger,
        batcher: Batcher,
        gatherer: GroupGatherer,
        metrics: ServiceMetrics,
    ) -> None:
        self._spec, self._book, self._batcher, self._metrics = spec, book, batcher, metrics
        self._gatherer = gatherer
        self._door = AccessControl(spec.token, spec.names)
        self._reading, self._told = 0, set[str]()
        self._began = time.monotonic()
        self._tokens = TokenCounter(spec.tokenizer)
        self._pages = _pages(self._health, metrics)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
        elif refusal := self._door.refusal(scope["headers"]):
            await self._refuse(send, refusal)
        elif (path := self._door.path(scope["path"], scope["headers"])) is None:
            await self._refuse(send, NO_TOKEN)
        elif path == "/reward" and scope["method"] == "POST":
            await self._reward(scope, receive, send)
        else:
            await self._pages({**scope, "path": path, "raw_path": path.encode()}, receive, send)

    async def _reward(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            if not is_json(scope["headers"]):
                return await self._refuse(send, KIND)
            body = await self._body(receive)
            if body is None:
                return None
            if isinstance(body, AccessDenied):
                return await self._refuse(send, body)
            if self._full():
                return await self._refuse(send, FULL)
            reply = await self._scored(body, getattr(receive, "__self__", None))
        except asyncio.CancelledError:
            raise
        except Exception as error:  # not the reward's error but ours; it must reach the user all the same
            self._gatherer.end(error)
            reply = self._book.neutral()
        if reply == AGAIN:
            reply = INCOMPLETE
        return await self._refuse(send, reply) if isinstance(reply, AccessDenied) else await _answer(send, 200, reply)

    async def _refuse(self, send: Send, refusal: AccessDenied) -> None:
        self._metrics.refused(refusal.why)
        if refusal.why == "form" and refusal.text not in self._told and len(self._told) < _TOLD:
            self._told.add(refusal.text)
            print(f"refused a call: {refusal.text}", file=sys.stderr, flush=True)
        more = {401: ((b"www-authenticate", b"Bearer"),), 503: ((b"retry-after", b"1"),)}
        body = json.dumps({"error": refusal.text}).encode()
        await _answer(send, refusal.status, body, *more.get(refusal.status, ()))

    async def _scored(self, body: bytes, caller: Any) -> bytes | AccessDenied:
        """The reply to one call: always valid; only calls in OpenRLHF's format with our label are scored."""
        book, unreadable = self._book, ""
        if book.policy.failure is not None:
            return book.neutral()
        try:
            call = read_call(body)
            known = unread(call.label)
        except RewardError as error:
            return AccessDenied(400, "form", error.what)
        try:
            trace = self._tokens.counted(decode_call(*call, self._spec.end_tokens))
        except RewardError as error:
            trace, unreadable = known, error.what
        key = hashlib.blake2b(body, digest_size=16).digest()
        future = asyncio.get_running_loop().create_future()
        metric, row = metric_of(call.label), row_of(call.label)
        job = ScoringJob(trace, metric, key, len(body), time.monotonic(), future, caller, row=row)
        if self._gatherer.returned(job):
            pass
        elif outcome := NoReward(unreadable) if unreadable else self._batcher.quarantine.get(key):
            self._gatherer.settle([job], [outcome])
        else:
            self._batcher.submit(job)
        reply: bytes = await future
        return reply

    def _full(self) -> bool:
        spec, batcher, gatherer = self._spec, self._batcher, self._gatherer
        rollouts, size = batcher.waiting + gatherer.waiting, batcher.weight + gatherer.weight
        return rollouts >= spec.max_waiting or size > spec.max_waiting_bytes

    async def _body(self, receive: Receive) -> bytes | AccessDenied | None:
        """The body of a call; None if the caller has gone. Bytes being read are counted, to limit them."""
        chunks, size, limit = [], 0, self._spec.max_body
        until = asyncio.get_running_loop().time() + BODY_SECONDS
        try:
            while True:
                async with asyncio.timeout_at(until):
                    message = await receive()
                if message["type"] == "http.disconnect":
                    return None
                chunk = message["body"]
                size += len(chunk)
                self._reading += len(chunk)
                chunks.append(chunk)
                if size > limit:
                    text = f"a rollout of more than {limit / 2**20:g} MiB is not read"
                    return AccessDenied(413, "large", text)
                if not message.get("more_body"):
                    return b"".join(chunks)
                if self._reading > self._spec.max_reading_bytes:
                    return FULL
        except TimeoutError:
            return LATE
        finally:
            self._reading -= size

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
            "waiting": self._batcher.waiting + self._gatherer.waiting,
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
