"""Requests a second of the engine `openai` against plain httpx with the same concurrency, and of two servers.

    python tests/benchmarks/generate_openai.py [--count 2000] [--concurrency 32] [--pause 0.005]

The server is a process of its own that answers at once (or after `--pause` seconds) with a completion of 2,000
characters. Plain is what one would write by hand: an asyncio semaphore, httpx.AsyncClient, and the answer's text.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import httpx

from lrmctl.engines.base import GenerationRequest, Sampling
from lrmctl.engines.openai.engine import OpenAiEngine
from lrmctl.engines.openai.protocol import body_of
from lrmctl.recipe.schema.engines import OpenAiOptions
from lrmctl.types import Prompt

SERVER = """
import asyncio, json, sys, uvicorn
text = "<think>\\n" + "so " * 600 + "\\n</think>\\n\\n" + "word " * 40
body = json.dumps({"choices": [{"message": {"content": text}, "finish_reason": "stop"}],
                   "usage": {"completion_tokens": 650}}).encode()
pause = float(sys.argv[2])
async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    while (await receive()).get("more_body"):
        pass
    await asyncio.sleep(pause)
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="critical", loop="uvloop", http="httptools")
"""


@contextmanager
def serving(pause: float) -> Iterator[str]:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    process = subprocess.Popen([sys.executable, "-c", SERVER, str(port), str(pause)])
    url = f"http://127.0.0.1:{port}/v1"
    try:
        for _ in range(200):
            try:
                httpx.get(url, timeout=1)
                break
            except httpx.TransportError:
                time.sleep(0.05)
        yield url
    finally:
        process.terminate()
        process.wait(10)


def requests_of(engine: OpenAiEngine, count: int) -> list[GenerationRequest]:
    sampling = Sampling(0.6, 0.95, max_new_tokens=4096)
    prompts = (Prompt.user(str(i), f"question {i} " * 20, "benign") for i in range(count))
    return [GenerationRequest(engine.render(prompt), sampling) for prompt in prompts]


def ours(urls: list[str], count: int, concurrency: int) -> float:
    """Completions a second."""
    engine = OpenAiEngine("lrm", OpenAiOptions(base_url=tuple(urls), concurrency=concurrency))
    requests = requests_of(engine, count)
    began = time.perf_counter()
    done = [one for batch in engine.generate(requests) for one in batch]
    seconds = time.perf_counter() - began
    assert len(done) == len(requests)
    assert not any(c.error for _, c in done)
    return len(done) / seconds


def plain(url: str, count: int, concurrency: int) -> float:
    """Completions a second."""
    engine = OpenAiEngine("lrm", OpenAiOptions(base_url=url))
    bodies = [body_of("lrm", "chat", request, {})[1] for request in requests_of(engine, count)]

    async def run() -> list[str]:
        gate = asyncio.Semaphore(concurrency)
        limits = httpx.Limits(max_connections=concurrency, max_keepalive_connections=concurrency)
        async with httpx.AsyncClient(limits=limits, timeout=60) as client:

            async def one(body: dict[str, object]) -> str:
                async with gate:
                    answer = await client.post(url + "/chat/completions", json=body)
                    return str(answer.json()["choices"][0]["message"]["content"])

            return await asyncio.gather(*(one(body) for body in bodies))

    began = time.perf_counter()
    texts = asyncio.run(run())
    assert len(texts) == len(bodies)
    return len(texts) / (time.perf_counter() - began)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--concurrency", type=int, default=32)
    parser.add_argument("--pause", type=float, default=0.0)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    with ExitStack() as stack:
        urls = [stack.enter_context(serving(args.pause)) for _ in range(2)]
        ours(urls[:1], 200, args.concurrency)
        found: dict[str, list[float]] = {"ours": [], "plain": [], "ours, two servers": []}
        for _ in range(args.rounds):  # by turns, so that a busy machine hits both
            found["plain"].append(plain(urls[0], args.count, args.concurrency))
            found["ours"].append(ours(urls[:1], args.count, args.concurrency))
            found["ours, two servers"].append(ours(urls, args.count, args.concurrency))
    middle = {name: round(statistics.median(values), 1) for name, values in found.items()}
    ratios = [a / b for a, b in zip(found["ours"], found["plain"], strict=True)]
    print(json.dumps({**vars(args), "per_second": middle, "ours_to_plain": round(statistics.median(ratios), 3)}))


if __name__ == "__main__":
    main()
