"""A real server of OpenAI's chat API that notes what it is asked and answers as a function says."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
from chat_server import held_port, url_of
from fastapi import FastAPI, Response

Answer = Callable[[dict[str, Any]], dict[str, Any] | int]
"""The message of the answer, or the status of a failure."""


class Recording:
    """One server: its address, and the bodies of all requests in order."""

    def __init__(self, answer: Answer) -> None:
        self.seen: list[dict[str, Any]] = []
        self.url = ""
        self._answer, self._lock = answer, threading.Lock()

    def reply(self, body: dict[str, Any]) -> Response:
        with self._lock:
            self.seen.append(body)
        said = self._answer(body)
        if isinstance(said, int):
            return Response(json.dumps({"error": {"message": "as asked"}}), said)
        usage = {"prompt_tokens": 5, "completion_tokens": 8, "total_tokens": 13}
        choice = {"index": 0, "message": {"role": "assistant", **said}, "finish_reason": "stop"}
        return Response(json.dumps({"choices": [choice], "usage": usage}), media_type="application/json")


@contextmanager
def serving(answer: Answer) -> Iterator[Recording]:
    recording = Recording(answer)
    app = FastAPI()

    @app.post("/v1/chat/completions")
    def chat(body: dict[str, Any]) -> Response:
        return recording.reply(body)

    held = held_port()
    recording.url = url_of(held)
    server = uvicorn.Server(uvicorn.Config(app, log_level="error"))
    thread = threading.Thread(target=lambda: server.run(sockets=[held]), daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield recording
    finally:
        server.should_exit = True
        thread.join(10)
