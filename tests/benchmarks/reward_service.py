"""What the HTTP service costs on top of the reward itself, for one step's burst of concurrent posts.

    python tests/benchmarks/reward_service.py [POSTS]

Each post has a connection of its own, as OpenRLHF makes them. The client runs in this process too, so the figures
hold its share.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
import time
from pathlib import Path

import httpx

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


async def burst(url: str, posts: list[dict[str, list[str]]], client: httpx.AsyncClient) -> list[float]:
    """Seconds that each post took, all of them sent at once."""

    async def one(body: dict[str, list[str]]) -> float:
        start = time.perf_counter()
        await client.post(url, json=body, headers={"Connection": "close"})
        return time.perf_counter() - start

    return list(await asyncio.gather(*(one(body) for body in posts)))


async def bursts(url: str, posts: list[dict[str, list[str]]], times: int) -> list[list[float]]:
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
    async with httpx.AsyncClient(limits=limits, timeout=60) as client:
        return [await burst(url, posts, client) for _ in range(times)]


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
        runs = asyncio.run(bursts(service.url, posts, 6))[1:]
    whole = statistics.median(max(run) for run in runs)
    middle = statistics.median(statistics.median(run) for run in runs)
    print(f"{n} posts at once: p50 {middle * 1e3:.0f} ms, all {whole * 1e3:.0f} ms; {whole / alone:.1f}x scoring alone")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 128)
