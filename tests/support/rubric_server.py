"""A real HTTP server that speaks OpenAI's chat API and answers by a function of the question."""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Answer = Callable[[str], "str | dict[str, float]"]
"""Question -> a reply, or the probabilities of the reply's first token."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256  # many threads ask at once


@contextmanager
def serving(answer: Answer) -> Iterator[dict[str, object]]:
    """The `engine:` option that reaches the server."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            reply = _completion(answer(body["messages"][-1]["content"]), body["model"])
            data = json.dumps(reply).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_):
            pass

    server = _Server(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield {"use": "openai", "base_url": f"http://127.0.0.1:{server.server_port}/v1", "patience": 20}
    finally:
        server.shutdown()
        server.server_close()


def _completion(said: str | dict[str, float], model: str) -> dict[str, object]:
    choice: dict[str, object] = {"index": 0, "finish_reason": "stop"}
    if isinstance(said, dict):
        first = max(said, key=said.__getitem__)
        top = [{"token": t, "logprob": math.log(p), "bytes": list(t.encode())} for t, p in said.items()]
        choice["logprobs"] = {"content": [{**next(t for t in top if t["token"] == first), "top_logprobs": top}]}
        said = first
    choice["message"] = {"role": "assistant", "content": said}
    usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
    return {"id": "1", "object": "chat.completion", "created": 0, "model": model, "choices": [choice], "usage": usage}
