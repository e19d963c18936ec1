"""`lrmctl compare` on many rows, whole process: time and peak memory, beside other ways to read the same two files.

    python tests/benchmarks/compare_rows.py [--prompts 25000] [--samples 4] [--words 150] [--turns 3]

The others only read and average `safe` per prompt, without pairing, intervals or tests: a plain pass of `json`, and
pandas' read_json with groupby. Each is a process of its own; turns alternate and medians are shown.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from lrmctl.runs.eval_rows import EvalRow
from lrmctl.runs.jsonl import write_jsonl
from lrmctl.types import Prompt, Trace, Verdict

PLAIN = """
import json, sys
from collections import defaultdict
for path in sys.argv[1:]:
    sums = defaultdict(list)
    for line in open(path, "rb"):
        row = json.loads(line)
        sums[row["set"], row["temperature"], row["trace"]["prompt"]["id"]].append(row["outcome"] == "safe")
    print(sum(sum(s) / len(s) for s in sums.values()) / len(sums))
"""
PANDAS = """
import sys
import pandas as pd
for path in sys.argv[1:]:
    rows = pd.read_json(path, lines=True)
    rows["prompt"] = [trace["prompt"]["id"] for trace in rows["trace"]]
    print((rows["outcome"] == "safe").groupby([rows["set"], rows["temperature"], rows["prompt"]]).mean().mean())
"""


def main() -> None:
    options = _options()
    with tempfile.TemporaryDirectory() as folder:
        files = [_write(Path(folder) / name, seed, options) for seed, name in enumerate(("a", "b"))]
        size = sum(file.stat().st_size for file in files) / 2**20
        print(f"2 x {options.prompts * options.samples} rows, {size:.0f} MiB")
        runs = [str(file.parent) for file in files]
        commands = {
            "lrmctl compare": [sys.executable, "-m", "lrmctl", "compare", *runs],
            "lrmctl compare --all": [sys.executable, "-m", "lrmctl", "compare", *runs, "--all"],
            "json.loads pass": [sys.executable, "-c", PLAIN, *map(str, files)],
            "pandas read_json": [sys.executable, "-c", PANDAS, *map(str, files)],
        }
        turns = [{name: _run(command) for name, command in commands.items()} for _ in range(options.turns)]
        _report({name: [turn[name] for turn in turns] for name in commands})


def _report(found: dict[str, list[tuple[float, float, float]]]) -> None:
    ours = statistics.median(cpu for _, cpu, _ in found["lrmctl compare"])
    for name, turns in found.items():
        wall, cpu = (statistics.median(turn[i] for turn in turns) for i in (0, 1))
        memory = max(turn[2] for turn in turns)
        print(
            f"{name:22} {wall:7.2f} s, {cpu:7.2f} s of CPU  {memory:6.0f} MiB  {cpu / ours:5.2f} x the CPU of compare"
        )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in {"prompts": 25_000, "samples": 4, "words": 150, "turns": 3}.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    return parser.parse_args()


def _write(folder: Path, seed: int, options: argparse.Namespace) -> Path:
    path = folder / "eval" / "rows.jsonl"
    write_jsonl(path, (row.to_json() for row in _rows(seed, options)))
    (path.parent / "summary.json").write_text(json.dumps({"sets": []}))
    return path


def _rows(seed: int, options: argparse.Namespace) -> Iterator[EvalRow]:
    rng, words = random.Random(seed), [f"word{i}" for i in range(50)]
    for i in range(options.prompts):
        prompt = Prompt.user(f"p{i}", f"ask number {i}", "harmful", meta={"category": "x"})
        for sample in range(options.samples):
            thinking, answer = (" ".join(rng.choices(words, k=k)) for k in (options.words, options.words // 3))
            trace = Trace(prompt, thinking, answer, "closed", sample=sample)
            thought, said = (_verdict(rng, part, 0.5 + 0.1 * seed) for part in ("thinking", "answer"))
            yield EvalRow("s", 0.6, trace, thought, said)


def _verdict(rng: random.Random, part: str, safe: float) -> Verdict:
    raw = "Safety: Safe\nCategories: None"
    return Verdict("lab", "1", part, rng.random() < safe, rng.random() < 0.5, False, labels=("x",), raw=raw)  # type: ignore[arg-type]


def _run(command: list[str]) -> tuple[float, float, float]:
    """Seconds, seconds of CPU and peak MiB of a process."""
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - began
    assert status == 0, command
    return seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


if __name__ == "__main__":
    main()
