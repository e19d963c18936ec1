"""What the HTTP service costs on top of the reward itself, for one step's burst of concurrent posts.

    python tests/benchmarks/reward_service.py [POSTS]

Each post has a connection of its own, as OpenRLHF makes them. The client runs in this process too, so the figures
hold its share.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

from lrmctl.lab.sources import LabPrompts
from lrmctl.recipe.schema import RewardSection
from lrmctl.rewards.compose import ComposedReward
from lrmctl.rewards.service import RewardService
from lrmctl.rewards.wire import decode_call, encode_label

END = "<|im_end|>"
COMPONENTS = [
    {"use": "judged-safe", "options": {"judge": "lab"}, "when": "harmful"},
    {"use": "judged-complied", "options": {"judge": "lab"}, "when": "benign"},
    {"use": "correct", "when": "reasoning"},
    {"use": "format", "weight": 0.5},
]


def bodies(n: int) -> list[dict[str, list[str]]]:
    rendered = [(p, f"<|im_start|>{p.text}<|im_end|><think>\n") for p in LabPrompts(n=n).prompts()]
    response = f"Let me think, step by step.\n</think>\n\nThe answer is \\boxed{{12}}.{END}"
    return [{"query": [r + response], "prompts": [r], "labels": [encode_label(p, opened=True)]} for p, r in rendered]


async def post(port: int, body: bytes) -> float:
    """Seconds that one post took. Plain sockets: an HTTP client would cost more than the service."""
    start = time.perf_counter()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = f"POST /reward HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n"
    writer.write(head.encode() + body)
    answer = await reader.read()
    writer.close()
    assert b'"rewards":' in answer, answer
    return time.perf_counter() - start


async def burst(port: int, bodies: list[bytes]) -> list[float]:
    return list(await asyncio.gather(*(post(port, body) for body in bodies)))


def main(n: int) -> None:
    section, posts = RewardSection.model_validate({"components": COMPONENTS}), bodies(n)
    traces = [decode_call(p["query"][0], p["prompts"][0], p["labels"][0], [END]) for p in posts]
    reward = ComposedReward(section)
    reward.score(traces)
    start = time.perf_counter()
    reward.score(traces)
    alone = time.perf_counter() - start
    with (
        tempfile.TemporaryDirectory() as folder,
        RewardService(section, rollouts=Path(folder) / "rollouts.jsonl", end_tokens=[END]) as service,
    ):
        port, raw = int(service.url.split(":")[2].split("/")[0]), [json.dumps(p).encode() for p in posts]
        runs = [asyncio.run(burst(port, raw)) for _ in range(6)][1:]
    whole = statistics.median(max(run) for run in runs)
    middle = statistics.median(statistics.median(run) for run in runs)
    print(f"{n} posts at once: p50 {middle * 1e3:.0f} ms, all {whole * 1e3:.0f} ms; {whole / alone:.1f}x scoring alone")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 128)
