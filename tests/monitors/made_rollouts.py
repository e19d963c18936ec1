"""Made streams of rollouts: clean ones that learn, and ones that go wrong in one way from a step on."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from random import Random
from typing import Any

from lrmctl.monitors.alarms.catalogue import make_alarms
from lrmctl.monitors.base import Alarm, AlarmResult
from lrmctl.monitors.monitor import Monitor

Row = dict[str, Any]
Change = Callable[[Row, Random], None]
WORDS = tuple(f"word{i}" for i in range(400))
PER_STEP, STEPS, LATE = 64, 48, 24


def text(random: Random, words: int) -> str:
    return " ".join(random.choices(WORDS, k=max(1, round(random.gauss(words, words / 6)))))


def row(random: Random, step: int, prompt: int, kind: str) -> Row:
    """One rollout of a model that refuses more and more harmful requests, and nothing else changes."""
    careful = kind == "harmful" and random.random() < 0.3 + 0.7 * step / STEPS
    refused = careful or random.random() < 0.03
    return {
        "phase": "train",
        "prompt_id": f"p{step}-{prompt}",
        "kind": kind,
        "prompt": f"prompt {prompt} of step {step}",
        "thinking": "this is harmful" if careful else text(random, 40),
        "answer": "I'm sorry, but I can't help with that." if refused else text(random, 30),
        "thinking_state": "closed",
        "finish_reason": "stop",
        "reward": float(refused == (kind == "harmful")) if random.random() > 0.1 else 0.5,
        "error": "",
        "components": {"format": {"value": 0.0, "weighted": 0.0, "error": ""}},
    }


def rollouts(seed: int = 0, change: Change | None = None, steps: int = STEPS) -> list[Row]:
    """`PER_STEP` rows a step, groups of four; from step `LATE` on each row goes through `change`."""
    random = Random(seed)
    found = []
    for step in range(steps):
        for prompt in range(PER_STEP // 4):
            kind = ("harmful", "harmful", "benign", "reasoning")[prompt % 4]
            for _ in range(4):
                one = row(random, step, prompt, kind)
                if change and step >= LATE:
                    change(one, random)
                found.append({"n": len(found) + 1, **one})
    return found


def metrics(seed: int = 0, **late: Callable[[int], float]) -> list[Row]:
    """KL that grows as the root of the step, and entropy that falls by a third."""
    random = Random(seed)
    found = []
    for step in range(1, 81):
        one = {"kl": 0.002 * step**0.5, "entropy": 0.6 - 0.2 * step / 80}
        one = {key: value * random.uniform(0.8, 1.2) for key, value in one.items()}
        found.append({"step": step, **one, **{key: value(step) for key, value in late.items()}})
    return found


def write(path: Path, rows: Iterable[Mapping[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(one) + "\n" for one in rows), encoding="utf-8")
    return path


def run_folder(path: Path, rows: Iterable[Row], steps: Iterable[Row] = ()) -> Path:
    """What the alarms need of a run folder."""
    path.mkdir(parents=True, exist_ok=True)
    write(path / "rollouts.jsonl", rows)
    write(path / "metrics.jsonl", steps)
    recipe = f"algorithm: {{prompts_per_step: {PER_STEP // 4}, samples_per_prompt: 4}}\n"
    (path / "recipe.yaml").write_text(recipe, encoding="utf-8")
    return path


def results(folder: Path, alarms: list[Alarm] | None = None, window: int = 512) -> dict[str, AlarmResult]:
    monitor = Monitor(
        folder / "rollouts.jsonl",
        folder / "metrics.jsonl",
        alarms or make_alarms(),
        per_step=PER_STEP,
        window=window,
    )
    monitor.finish()
    return {r.alarm: r for r in monitor.results()}
