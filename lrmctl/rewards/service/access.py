"""Access control of the reward service, and time limits for incomplete requests.

Nothing that a caller sends ends a training run: an unknown caller gets 401 or 403, a request that is no reward call
400, 413 or 408, and neither leaves a row.
"""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import socket
from collections.abc import Iterable
from typing import Any, NamedTuple

HEAD_SECONDS = 20.0
"""Seconds for a caller to send the head of a request."""
BODY_SECONDS = 60.0
"""Seconds for its body."""
_HEAD_BYTES = 64 * 1024
Headers = Iterable[tuple[bytes, bytes]]


class AccessDenied(NamedTuple):
    """A response other than a reward; `why` is its label in the metrics."""

    status: int
    why: str
    text: str


NO_TOKEN = AccessDenied(401, "token", "a token is needed")
FOREIGN = AccessDenied(403, "foreign", "this service is not for pages of a browser, nor known by that name")
INCOMPLETE = AccessDenied(503, "group", "the other samples of the prompt are not there yet")
FULL = AccessDenied(503, "full", "too many rollouts wait")
LATE = AccessDenied(408, "late", "the body did not come in time")
KIND = AccessDenied(400, "form", "the body of a reward call is application/json")


class AccessControl:
    """Checks the head of a request.

    Args:
        token: required from callers, as `Authorization: Bearer` or as the first part of the path.
        names: host names of the service, as far as known; addresses are always accepted.
    """

    def __init__(self, token: str, names: Iterable[str]) -> None:
        self._token = token.encode()
        self._names = {name.lower() for name in (*names, "localhost", socket.gethostname()) if name}

    def refusal(self, headers: Headers) -> AccessDenied | None:
        """Why the origin of a request is refused: a page in a browser may reach this machine too."""
        for name, value in headers:
            if name == b"origin" or (name == b"host" and not self._known(value.decode("latin-1"))):
                return FOREIGN
        return None

    def path(self, path: str, headers: Headers) -> str | None:
        """The path without the token; None without the right token."""
        given = next((value for name, value in headers if name == b"authorization"), b"")
        if given[:7].lower() == b"bearer " and hmac.compare_digest(given[7:].strip(), self._token):
            return path
        _, _, rest = path.partition("/")
        first, _, rest = rest.partition("/")
        if hmac.compare_digest(first.encode("utf-8", "surrogateescape"), self._token):
            return f"/{rest}"
        return None

    def _known(self, host: str) -> bool:
        name = host.rpartition("]")[0].lstrip("[") if host.startswith("[") else host.partition(":")[0]
        try:
            ipaddress.ip_address(name)
            return True
        except ValueError:
            return name.lower().rstrip(".") in self._names


def is_json(headers: Headers) -> bool:
    """Whether a body is declared as JSON, or has no declared type."""
    kind = next((value for name, value in headers if name == b"content-type"), b"application/json")
    return kind.split(b";")[0].strip().lower() == b"application/json"


def impatient_protocol() -> type[asyncio.Protocol]:
    """uvicorn's protocol with limits: it would wait for ever, and buffer without limit, while a head is incomplete."""
    from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

    class BodyTimeout(HttpToolsProtocol):
        _timer: asyncio.TimerHandle | None = None
        _head = 0

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self._wait()

        def connection_lost(self, exc: Exception | None) -> None:
            self._stop()
            super().connection_lost(exc)

        def on_message_begin(self) -> None:
            self._wait()
            super().on_message_begin()

        def on_header(self, name: bytes, value: bytes) -> None:
            self._head += len(name) + len(value)
            if self._head > _HEAD_BYTES:
                self._leave()
            else:
                super().on_header(name, value)

        def on_headers_complete(self) -> None:
            self._stop()
            super().on_headers_complete()

        def _wait(self) -> None:
            self._stop()
            self._head = 0
            self._timer = self.loop.call_later(HEAD_SECONDS, self._leave)

        def _stop(self) -> None:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None

        def _leave(self) -> None:
            self.transport.abort()

    return BodyTimeout
