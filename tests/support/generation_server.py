"""A real OpenAI-compatible server that completes prompts, well or badly as the prompt's text tells it to.

A completion is drawn from the prompt and the request's seed alone: the same request gets the same completion.
"""

from __future__ import annotations

import asyncio
import json
import random
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import uvicorn
from chat_server import held_port, url_of
from fastapi import FastAPI, Response
from fastapi import Request as HttpRequest

from lrmctl.engines.base import Completion, GenerationRequest, Sampling
from lrmctl.engines.factory import make_engine
from lrmctl.engines.openai.engine import OpenAiEngine
from lrmctl.recipe.schema.engines import OpenAiOptions
from lrmctl.types import Prompt, Trace

WORDS = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]


class Generation:
    """What was asked, and how it is answered.

    Attributes:
        pause: seconds that a completion takes.
        deaf: neither seed nor temperature is heeded.
        down: the status to answer everything with, in place of completions; 0 for none.
        answered: requests that it is done with.
        models: the status of the list of models, which some servers cannot give.
    """

    def __init__(self, pause: float = 0.0, deaf: bool = False) -> None:
        self.pause, self.deaf, self.down = pause, deaf, 0
        self.models = 200
        self.seen: list[dict[str, Any]] = []
        self.tries: Counter[str] = Counter()
        self.inside = self.most = self.answered = 0
        self.lock = threading.Lock()

    def wait_for(self, requests: int) -> bool:
        """Return when so many have been asked; False after five minutes."""
        end = time.monotonic() + 300
        while len(self.seen) < requests and time.monotonic() < end:
            time.sleep(0.005)
        return len(self.seen) >= requests

    def answer(self, body: dict[str, Any]) -> Response:
        asked = body["prompt"] if "prompt" in body else body["messages"][-1]["content"]
        with self.lock:
            self.seen.append(body)
            self.tries[asked] += 1
            tries = self.tries[asked]
            self.inside += 1
            self.most = max(self.most, self.inside)
        try:
            time.sleep(self.pause)
            return self._answer(asked, body, tries)
        finally:
            with self.lock:
                self.inside -= 1
                self.answered += 1

    def _answer(self, asked: str, body: dict[str, Any], tries: int) -> Response:
        word, _, rest = asked.partition(" ")
        if self.down:
            return Response(json.dumps({"error": {"message": "as told"}}), self.down)
        if word == "status":  # `status 500 2`: twice a 500, then an answer
            status, times = map(int, rest.split()[:2])
            if tries <= times:
                headers = {"Retry-After": rest.split()[2]} if len(rest.split()) > 2 else {}
                return Response(json.dumps({"error": {"message": "as asked"}}), status, headers)
        if word == "slow" and tries <= 1:
            time.sleep(float(rest))
        if word == "raw":
            return Response(rest, 200)
        if word == "choice":  # the choice itself, and perhaps the usage
            return _json(json.loads(rest))
        said = "always the same" if self.deaf else drawn(asked, body["seed"], body["temperature"])
        text = f"<think>\n{said}\n</think>\n\n{said.split()[0]}"
        if "prompt" in body:
            return _json({"choices": [{"text": text, "finish_reason": "stop"}]})
        return _json({"choices": [{"message": {"content": text}, "finish_reason": "stop"}]})


def drawn(asked: str, seed: int, temperature: float) -> str:
    luck = random.Random(f"{asked} {seed if temperature else 0}")
    return " ".join(luck.choices(WORDS, k=8))


def _json(body: dict[str, Any]) -> Response:
    return Response(json.dumps(body), media_type="application/json")


def app_of(generation: Generation) -> FastAPI:
    app = FastAPI()

    @app.get("/v1/models")
    def models() -> Response:
        return Response("{}", generation.down or generation.models)

    @app.post("/v1/{path:path}")
    def post(path: str, body: dict[str, Any], request: HttpRequest) -> Response:
        del path
        if body["model"] == "unknown":
            return Response(json.dumps({"error": {"message": "no such model"}}), 404)
        if body["model"] == "guarded" and request.headers.get("authorization") != "Bearer right":
            return Response(json.dumps({"detail": "wrong key"}), 401)
        return generation.answer(body)

    return app


class Served:
    """A server in a thread; `kill` drops its connections with everything that is under way."""

    def __init__(self, generation: Generation, held: socket.socket | None = None, after: float = 0.0) -> None:
        self._socket = held or held_port()
        self.url = url_of(self._socket)
        self.server = uvicorn.Server(uvicorn.Config(app_of(generation), log_level="critical"))
        self._after = after
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()
        while not after and not self.server.started:
            time.sleep(0.01)

    def _run(self) -> None:
        time.sleep(self._after)
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        await self.server.serve(sockets=[self._socket])

    def _drop(self) -> None:
        self.server.force_exit = self.server.should_exit = True
        for connection in list(self.server.server_state.connections):
            connection.transport.abort()

    def kill(self) -> None:
        self._loop.call_soon_threadsafe(self._drop)
        self.thread.join(10)


@contextmanager
def generating(generation: Generation, **how: Any) -> Iterator[str]:
    """The base URL of a server."""
    served = Served(generation, **how)
    try:
        yield served.url
    finally:
        served.kill()


WARM = Sampling(0.6, 0.95, max_new_tokens=64)


def engine_of(url: str | Sequence[str], model: str = "lrm", **options: Any) -> OpenAiEngine:
    urls = url if isinstance(url, str) else tuple(url)
    made = make_engine(model, OpenAiOptions(base_url=urls, **{"patience": 6, **options}))
    assert isinstance(made, OpenAiEngine)
    return made


def prompt_of(text: str) -> Prompt:
    return Prompt.user(text, text, "benign")


def asked(
    engine: OpenAiEngine, texts: Sequence[str], samples: int = 1, sampling: Sampling = WARM
) -> list[GenerationRequest]:
    return [
        GenerationRequest(engine.render(prompt_of(text)), sampling, i, seed=5) for text in texts for i in range(samples)
    ]


def drawn_by(engine: OpenAiEngine, requests: Sequence[GenerationRequest]) -> list[Completion]:
    found = [one for batch in engine.generate(requests) for one in batch]
    assert sorted(i for i, _ in found) == list(range(len(requests)))  # every request exactly once
    return [completion for _, completion in sorted(found, key=lambda one: one[0])]


def one(engine: OpenAiEngine, text: str, sampling: Sampling = WARM) -> tuple[Completion, Trace]:
    requests = asked(engine, [text], sampling=sampling)
    (completion,) = drawn_by(engine, requests)
    return completion, engine.trace(prompt_of(text), requests[0], completion)


def choice(finish: str | None = "stop", usage: Any = None, **message: Any) -> str:
    body = {"choices": [{"message": message, "finish_reason": finish}]}
    return "choice " + json.dumps(body | ({"usage": usage} if usage else {}))
