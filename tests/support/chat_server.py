"""A real OpenAI-compatible server that misbehaves as the question's text tells it to."""

from __future__ import annotations

import json
import math
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any

import uvicorn
from fastapi import FastAPI, Request, Response


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def held_port(port: int = 0) -> socket.socket:
    """A port that refuses connections and is given to nobody else, until a server runs on the socket.

    A number alone is not kept: another test's server, or the local end of a connection, may get it meanwhile.
    """
    held = socket.socket()
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    held.bind(("127.0.0.1", port))
    return held


def url_of(held: socket.socket) -> str:
    return f"http://127.0.0.1:{held.getsockname()[1]}/v1"


class Behaviour:
    """What it was asked, and what it answers.

    Attributes:
        seen: the bodies of all requests, in order.
        early: requests that came before the time that a `Retry-After` named.
        most: requests that were under way at the same time at most.
    """

    def __init__(self) -> None:
        self.seen: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.paths: list[str] = []
        self.wait_until: dict[str, float] = {}
        self.early = 0
        self.tries: Counter[str] = Counter()
        self.inside = self.most = 0
        self.lock = threading.Lock()

    def answer(self, path: str, body: dict[str, Any], headers: dict[str, str]) -> Response:
        asked = body["prompt"] if "prompt" in body else body["messages"][-1]["content"]
        with self.lock:
            self.seen.append(body)
            self.paths.append(path)
            self.headers.append(headers)
            self.early += time.monotonic() < self.wait_until.get(asked, 0.0)
            self.tries[asked] += 1
            tries = self.tries[asked]
            self.inside += 1
            self.most = max(self.most, self.inside)
        try:
            return self._answer(asked, body, tries)
        finally:
            with self.lock:
                self.inside -= 1

    def _answer(self, asked: str, body: dict[str, Any], tries: int) -> Response:
        word, _, rest = asked.partition(" ")
        if word == "status":  # `status 500 2`: twice a 500, then an answer
            status, times = map(int, rest.split()[:2])
            if tries <= times:
                headers = {"Retry-After": rest.split()[2]} if len(rest.split()) > 2 else {}
                self.wait_until[asked] = time.monotonic() + float(headers.get("Retry-After", 0))
                return Response(json.dumps({"error": {"message": "as asked"}}), status, headers)
        if word == "slow" and tries <= 1:
            time.sleep(float(rest))
        if word == "pause":
            time.sleep(float(rest.split()[0]))
        if word == "raw":
            return Response(rest, 200)
        if word == "message":
            return _json({"choices": [{"message": json.loads(rest), "finish_reason": "stop"}]})
        if "logprobs" in body:
            return _json({"choices": [self._first(body, json.loads(rest) if rest else [{"safe": 0.9, "unsafe": 0.1}])]})
        if "prompt" in body:
            return _json({"choices": [{"text": f"echo {asked}", "finish_reason": "stop"}]})
        return _json({"choices": [{"message": {"content": f"echo {asked}"}, "finish_reason": "stop"}]})

    def _first(self, body: dict[str, Any], tables: list[dict[str, float]]) -> dict[str, Any]:
        logs = [{token: math.log(p) for token, p in table.items()} for table in tables]
        tops = [max(table, key=lambda token: table[token]) for table in logs]
        if "prompt" in body:
            chosen = [table[token] for token, table in zip(tops, logs, strict=True)]
            return {"text": "".join(tops), "logprobs": {"tokens": tops, "token_logprobs": chosen, "top_logprobs": logs}}
        content = [
            {
                "token": token,
                "logprob": table[token],
                "top_logprobs": [{"token": t, "logprob": p} for t, p in table.items()],
            }
            for token, table in zip(tops, logs, strict=True)
        ]
        return {"message": {"content": "".join(tops)}, "logprobs": {"content": content}}


def _json(body: dict[str, Any]) -> Response:
    return Response(json.dumps(body), media_type="application/json")


def app_of(behaviour: Behaviour) -> FastAPI:
    app = FastAPI()

    @app.post("/v1/{path:path}")
    def post(path: str, body: dict[str, Any], request: Request) -> Response:
        if body["model"] == "unknown":
            return Response(json.dumps({"error": {"message": "no such model"}}), 404)
        if body["model"] == "guarded" and request.headers.get("authorization") != "Bearer right":
            return Response(json.dumps({"detail": "wrong key"}), 401)
        return behaviour.answer(path, body, dict(request.headers))

    return app


@contextmanager
def serving(behaviour: Behaviour, held: socket.socket | None = None, after: float = 0.0) -> Iterator[str]:
    """The base URL of the server; it comes up `after` seconds."""
    held = held or held_port()
    url = url_of(held)
    server = uvicorn.Server(uvicorn.Config(app_of(behaviour), log_level="error"))

    def run() -> None:
        time.sleep(after)
        server.run(sockets=[held])

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    while not after and not server.started:
        time.sleep(0.01)
    try:
        yield url
    finally:
        server.should_exit = True
        thread.join(10)


@contextmanager
def resetting(times: int) -> Iterator[str]:
    """A server that resets its first connections, and then answers `fine`."""
    listening = socket.create_server(("127.0.0.1", 0))
    body = json.dumps({"choices": [{"message": {"content": "fine"}}]}).encode()

    def run() -> None:
        for n in count():
            try:
                connection, _ = listening.accept()
            except OSError:  # closed
                return
            connection.recv(65536)
            if n < times:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            else:
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
            connection.close()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    with listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/v1"
        listening.shutdown(socket.SHUT_RDWR)
        thread.join(10)
