"""Calls as OpenRLHF makes them, for the tests of the reward service."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx

from lrmctl.recipe.schema.recipes import RewardSection
from lrmctl.rewards.service.protocol import encode_label
from lrmctl.rewards.service.server import RewardService
from lrmctl.runs.jsonl import read_jsonl
from lrmctl.types import Prompt

END = "<|end|>"
SUM = Prompt.user("r", "What is 2 + 2?", "reasoning", reference="4")


def section(*components: dict[str, Any], **rest: Any) -> RewardSection:
    return RewardSection.model_validate({"components": components, **rest})


def service(folder: Path, *components: dict[str, Any], **rest: Any) -> RewardService:
    """A service; words of the section and of the service itself may be mixed."""
    of_section = ("on_failure", "max_failure_rate", "clip", "normalise", "service")
    words = {key: rest.pop(key) for key in of_section if key in rest}
    return RewardService(section(*components, **words), rollouts=folder / "rollouts.jsonl", end_tokens=[END], **rest)


def call(prompt: Prompt, response: str, metric: str = "") -> dict[str, list[str]]:
    rendered = f"<|user|>{prompt.text}<|assistant|><think>\n"
    label = encode_label(prompt, opened=True, metric=metric)
    return {"query": [rendered + response], "prompts": [rendered], "labels": [label]}


def good(prompt: Prompt, answer: str, metric: str = "") -> dict[str, list[str]]:
    return call(prompt, f"Let me see.\n</think>\n\n{answer}{END}", metric)


def post(url: str, calls: Sequence[dict[str, Any]], at_once: int = 64, tries: int = 1) -> list[dict[str, Any]]:
    """Replies to all calls in order, `at_once` of them under way at any time; a failed call is tried again, as
    OpenRLHF does, with a connection of its own each time."""

    async def one(room: asyncio.Semaphore, body: bytes) -> dict[str, Any]:
        async with room:
            for left in reversed(range(tries)):
                try:
                    async with httpx.AsyncClient(timeout=60, verify=False) as client:
                        reply = await client.post(url, content=body)
                    reply.raise_for_status()
                    answer: dict[str, Any] = reply.json()
                    return answer
                except httpx.HTTPError:
                    if not left:
                        raise
                    await asyncio.sleep(1)
        raise AssertionError

    async def run() -> list[dict[str, Any]]:
        room = asyncio.Semaphore(at_once)
        return list(await asyncio.gather(*(one(room, json.dumps(c).encode()) for c in calls)))

    return asyncio.run(run())


def rows(folder: Path) -> list[dict[str, Any]]:
    return list(read_jsonl(folder / "rollouts.jsonl"))


def health(s: RewardService) -> dict[str, Any]:
    facts: dict[str, Any] = httpx.get(s.url.replace("/reward", "/healthz"), timeout=60).json()
    return facts
