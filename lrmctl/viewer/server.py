"""The viewer over HTTP for whoever sits at this machine: read-only, on loopback, behind a token in the path.

A page of another site that a browser shows could ask this server too: it does not know the token, its requests carry an
Origin or a foreign Host (DNS rebinding), and no answer may be read or framed by it.
"""

from __future__ import annotations

import hmac
import secrets
import threading
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from lrmctl.errors import LrmctlError
from lrmctl.rewards.service.sockets import listen
from lrmctl.viewer.assets import colors, content_hash, policy, standalone_page, style
from lrmctl.viewer.live import LiveTraces
from lrmctl.viewer.packing import as_json

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.types import ASGIApp, Receive, Scope, Send

HOST = "127.0.0.1"
_NAMES = ("127.0.0.1", "localhost", "::1")
_HEADERS = {
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
}


class TraceServer:
    """Serves the viewer while it is entered as a context manager.

    Args:
        traces: what it shows.
        port: 0 takes a free one.
        token: that the URL has in it; made if none is given.
        title: of the page.

    Raises:
        LrmctlError: on entering: the port is taken.
    """

    def __init__(self, traces: LiveTraces, *, port: int = 0, token: str = "", title: str = "lrmctl view") -> None:
        self._token = token or secrets.token_urlsafe(16)
        self._app = guarded(viewer_app(traces, title), self._token)
        self._port = port

    @property
    def url(self) -> str:
        """Where the page is; known once the server is entered."""
        return f"http://{HOST}:{self._port}/{self._token}/"

    def __enter__(self) -> TraceServer:
        import uvicorn

        self._listener = listen(HOST, self._port)
        self._port = self._listener.getsockname()[1]
        config = uvicorn.Config(
            self._app,
            log_config=None,
            access_log=False,
            lifespan="off",
            timeout_graceful_shutdown=1,
            ws="none",
            server_header=False,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._serve, name="lrmctl-view", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join(5)
        self._listener.close()

    def wait(self) -> None:
        """Return when the server ends by itself, which it does not do without an error."""
        while self._thread.is_alive():
            self._thread.join(0.5)

    def _serve(self) -> None:
        self._server.run(sockets=[self._listener])


def viewer_app(traces: LiveTraces, title: str) -> ASGIApp:
    """The routes `/` (the page), `/state`, `/index?from=N` and `/chunk?from=N&to=M`; GET only."""
    from fastapi import FastAPI
    from starlette.responses import HTMLResponse
    from starlette.responses import Response as Answer

    one_at_a_time = threading.Lock()

    def page(_: Request) -> Response:
        return HTMLResponse(standalone_page(title, live=True), headers={"content-security-policy": _policy()})

    def answering(kind: str, make: Callable[[Request], bytes]) -> Callable[[Request], Response]:
        """What goes wrong with a file of a run is said on the page."""

        def answer(request: Request) -> Response:
            try:
                with one_at_a_time:
                    return Answer(make(request), media_type=kind)
            except (LrmctlError, OSError) as error:
                return Answer(f"{error}", 500, media_type="text/plain")

        return answer

    def state(_: Request) -> bytes:
        return as_json(traces.state())

    def index(request: Request) -> bytes:
        return as_json(traces.index(_number(request, "from")))

    def chunk(request: Request) -> bytes:
        return traces.chunk(_number(request, "from"), _number(request, "to"))

    app = FastAPI(openapi_url=None)
    app.add_route("/", page, methods=["GET"])
    app.add_route("/state", answering("application/json", state), methods=["GET"])
    app.add_route("/index", answering("application/json", index), methods=["GET"])
    app.add_route("/chunk", answering("application/octet-stream", chunk), methods=["GET"])
    return app


def guarded(app: ASGIApp, token: str) -> ASGIApp:
    """An application behind its token that answers GET to this machine's own names only."""
    known = token.encode()

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return
        if not _is_ours(scope["headers"]):
            await _refuse(send, 403, "this page is for the machine that it runs on")
            return
        first, _, rest = scope["path"].removeprefix("/").partition("/")
        if not hmac.compare_digest(first.encode("utf-8", "surrogateescape"), known):
            await _refuse(send, 404, "there is nothing here; take the URL that `lrmctl view` printed")
        elif scope["method"] != "GET":
            await _refuse(send, 405, "this server only answers GET")
        else:
            path = f"/{rest}"
            await app(
                {**scope, "path": path, "raw_path": path.encode("utf-8", "surrogateescape")},
                receive,
                _with_headers(send),
            )

    return answer


def _policy() -> str:
    """That of the page itself, and no frame around it, which only a header can say."""
    return policy(styles=content_hash(colors() + style()), connect="'self'") + "; frame-ancestors 'none'"


def _is_ours(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Whether a request was sent to this machine by one of its own names, and by no other site's page."""
    hosts = [value.decode("latin-1") for name, value in headers if name == b"host"]
    origins = [value.decode("latin-1") for name, value in headers if name == b"origin"]
    sites = [value for name, value in headers if name == b"sec-fetch-site"]
    named = len(hosts) == 1 and _name(hosts[0]) in _NAMES
    same = all(origin == f"http://{hosts[0]}" for origin in origins) if named else False
    return named and same and all(site in (b"same-origin", b"none") for site in sites)


def _name(host: str) -> str:
    """The host's name without its port."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.rpartition(":")[0].lower() if ":" in host else host.lower()


def _number(request: Request, key: str) -> int:
    value = request.query_params.get(key, "0")
    return int(value) if value.isascii() and value.isdigit() and len(value) < 12 else 0


def _with_headers(send: Send) -> Send:
    async def sent(message: Any) -> None:
        if message["type"] == "http.response.start":
            more = [(name.encode(), value.encode()) for name, value in _HEADERS.items()]
            message = {**message, "headers": [*message["headers"], *more]}
        await send(message)

    return sent


async def _refuse(send: Send, status: int, text: str) -> None:
    body = f"{text}\n".encode()
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
