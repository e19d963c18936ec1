"""How long `lrmctl --help` takes beside another command's: both in turn, so that the machine's load meets both.

python tests/benchmarks/startup.py [--runs 15] [trl --help]
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import time
from collections.abc import Sequence


def seconds(command: Sequence[str]) -> float:
    """Wall time of one run."""
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=15)
    parser.add_argument("other", nargs=argparse.REMAINDER, help="the other command; `trl --help` by default")
    args = parser.parse_args()
    other = args.other or ["trl", "--help"]
    ours = ["lrmctl", "--help"]
    pairs = [(seconds(ours), seconds(other)) for _ in range(args.runs + 1)][1:]  # the first pair fills caches
    a, b = (statistics.median(times) for times in zip(*pairs, strict=True))
    ratio = statistics.median(x / y for x, y in pairs)
    print(f"{' '.join(ours)} {a:.3f} s, {' '.join(other)} {b:.3f} s, ratio {ratio:.2f} (medians of {args.runs} pairs)")


if __name__ == "__main__":
    main()
