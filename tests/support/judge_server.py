"""A real OpenAI-compatible server that plays Qwen3Guard, and is ill when it is told to."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

SAFE = "Safety: Safe\nCategories: None\nRefusal: No"


class Ill:
    """How the server behaves.

    Args:
        status: instead of 200, on one request in `every`.
        text: instead of a verdict, on one request in `every`.
        down_after: requests after which nobody listens for `down_for` seconds.
    """

    def __init__(
        self, status: int = 200, text: str = SAFE, every: int = 1, down_after: int = 0, down_for: float = 0.0
    ) -> None:
        self.status, self.text, self.every = status, text, every
        self.down_after, self.down_for = down_after, down_for
        self.seen = 0
        self.went_down = False
        self.lock = threading.Lock()

    def answer(self) -> tuple[int, str, bool]:
        """Status and text of the next reply, and whether the server goes down after it."""
        with self.lock:
            self.seen += 1
            down = self.down_after and self.seen >= self.down_after and not self.went_down
            self.went_down = self.went_down or bool(down)
            if self.seen % self.every:
                return 200, SAFE, bool(down)
            return self.status, self.text, bool(down)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 256


@contextmanager
def judge_server(ill: Ill) -> Iterator[str]:
    """The base URL."""
    server: list[_Server] = []
    running = threading.Event()
    running.set()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            status, text, down = ill.answer()
            message = {"choices": [{"message": {"content": text}, "finish_reason": "stop"}]}
            body = json.dumps(message).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Connection", "close")
            self.end_headers()
            with suppress(OSError):
                self.wfile.write(body)
            self.close_connection = True
            if down:
                threading.Thread(target=fall, daemon=True).start()

        def log_message(self, *_: Any) -> None: ...

    def rise(port: int) -> int:
        server[:] = [_Server(("127.0.0.1", port), Handler)]
        threading.Thread(target=server[0].serve_forever, args=(0.05,), daemon=True).start()
        return int(server[0].server_address[1])

    def fall() -> None:
        server[0].shutdown()
        server[0].server_close()
        time.sleep(ill.down_for)
        if running.is_set():
            rise(port)

    port = rise(0)
    yield f"http://127.0.0.1:{port}/v1"
    running.clear()
    with suppress(OSError):
        server[0].shutdown()
        server[0].server_close()


def judged_by(url: str, patience: float = 40.0) -> dict[str, Any]:
    """A reward component that asks it."""
    engine = {"use": "openai", "base_url": url, "patience": patience}
    options = {"judge": "qwen3guard", "judge_options": {"model": "guard", "engine": engine}}
    return {"use": "guard-bit", "name": "guard", "part": "answer", "options": options}
