"""What weights in the loss cost in SFT: `lab/sft-mixed` with and without them, through the real OpenRLHF.

    python tests/benchmarks/weighted_sft.py [--rounds 5] [--epochs 4] [--recipe lab/sft-mixed]

`parts` weighs the tokens of the thinking by 0.5. `importance` is PEAR's: it takes the probabilities of the model in
training from the same forward pass, and those of the policy that wrote the rows from before the training. Every round
runs all three, each round in another order. Printed: seconds of the training steps (after the fifth, out of
metrics.jsonl) and of whole processes, and the median ratio of both to the run without weights.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

WAYS = {
    "plain": [],
    "parts": ["data.loss_weights.thinking=0.5"],
    "importance": ["data.loss_weights.importance.behaviour=lab:tiny"],
}
BEFORE = 5
"""Steps that are not counted: memory and caches warm up."""


def once(recipe: str, sets: list[str]) -> tuple[float, float]:
    """Seconds of the counted steps, and of the whole process."""
    folder = Path(tempfile.mkdtemp(prefix="weighted"))
    options = [word for text in sets for word in ("--set", text)]
    command = [sys.executable, "-m", "lrmctl", "train", recipe, "--runs-dir", str(folder), "--name", "run", *options]
    began = time.monotonic()
    subprocess.run(command, check=True, capture_output=True)
    whole = time.monotonic() - began
    rows = [json.loads(line) for line in (folder / "run" / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    shutil.rmtree(folder, ignore_errors=True)
    return rows[-1]["seconds"] - rows[BEFORE - 1]["seconds"], whole


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--recipe", default="lab/sft-mixed")
    asked = parser.parse_args()
    ratios: dict[str, list[tuple[float, float]]] = {way: [] for way in WAYS if way != "plain"}
    names = list(WAYS)
    for i in range(asked.rounds):
        order = names[i % len(names) :] + names[: i % len(names)]
        took = {way: once(asked.recipe, [f"train.epochs={asked.epochs}", *WAYS[way]]) for way in order}
        steps, whole = took["plain"]
        for way in ratios:
            ratios[way].append((took[way][0] / steps, took[way][1] / whole))
        told = ", ".join(f"{way} {took[way][0]:.1f} s of {took[way][1]:.1f} s" for way in names)
        print(f"round {i + 1}: {told}", flush=True)
    for way, found in ratios.items():
        of_steps, of_whole = (median(pair[k] for pair in found) for k in (0, 1))
        print(
            f"{way}: median ratio {of_steps:.3f} of the steps, {of_whole:.3f} of whole processes, {len(found)} rounds"
        )


if __name__ == "__main__":
    main()
