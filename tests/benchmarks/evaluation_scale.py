"""An evaluation of 10,000 prompts x 4 samples of the lab's model: seconds and peak memory, then resumed and rejudged.

    python tests/benchmarks/evaluation_scale.py [--share 1.0] [--threads 1]

Whole processes, as a user types them: drawing everything, the same command again (nothing is left to draw), and judging
what is stored again.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SETS = {"lab-harmful": 4608, "lab-benign": 4608}
ARITHMETIC = 784


def main() -> None:
    options = _options()
    with tempfile.TemporaryDirectory() as folder:
        recipe = _recipe(Path(folder), options.share)
        rows = 0
        for name, words in (("drawn", []), ("resumed", []), ("rejudged", ["--rejudge"])):
            seconds = _run(Path(folder), recipe, words, options.threads)
            peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024  # of the largest child so far
            rows = rows or sum(1 for _ in (Path(folder) / "runs/scale/eval/rows.jsonl").open())
            print(
                f"{name:9} {rows} completions  {seconds:7.1f} s  {rows / seconds:7.0f}/s  peak {peak:6.0f} MiB so far"
            )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--share", type=float, default=1.0, help="of the 10,000 prompts")
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args()


def _recipe(folder: Path, share: float) -> Path:
    safety = [{"use": use, "options": {"n": int(n * share), "split": "all"}} for use, n in SETS.items()]
    section = {"safety": safety, "reasoning": ["lab_arithmetic"], "limit": None, "temperatures": [0.6], "top_p": 1.0}
    section |= {"samples": 4, "max_new_tokens": 128, "limit": int(SETS["lab-harmful"] * share)}
    section["reasoning"] = [{"use": "lab_arithmetic", "options": {"n": int(ARITHMETIC * share)}}]
    file = folder / "scale.yaml"  # JSON is YAML
    file.write_text(json.dumps({"kind": "eval", "name": "scale", "model": "lab:tiny", "evaluation": section}))
    return file


def _run(folder: Path, recipe: Path, words: list[str], threads: int) -> float:
    command = [sys.executable, "-m", "lrmctl", "eval", "lab:tiny", "--recipe", str(recipe), "--name", "scale", *words]
    started = time.perf_counter()
    subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": str(threads), "OMP_WAIT_POLICY": "PASSIVE"},
        check=True,
        stdout=subprocess.DEVNULL,
    )
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
