"""How often the alarms of `lrmctl monitor` fire on runs that do not deserve it: whole runs, and random parts of them.

    python tools/measure_monitors.py [--judge lab] [--parts 40] RUN_FOLDER...

Parts of one run overlap, so they are not independent: their interval is narrower than the truth.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random

from lrmctl.judges.base import make_judge
from lrmctl.monitors.alarms.catalogue import ALARMS, make_alarms
from lrmctl.monitors.base import AlarmResult
from lrmctl.monitors.monitor import Monitor, helped_of, per_step_of, prompts_of, recipe_of
from lrmctl.runs.jsonl import read_jsonl

LEAST = 24
"""Steps that a part has at least."""


def results(folder: Path, rollouts: Path, metrics: Path, judge: str | None) -> list[AlarmResult]:
    recipe = recipe_of(folder)
    second = make_judge(judge) if judge else None
    alarms = make_alarms(judge=second, prompts=prompts_of(folder) if judge else {}, helped=helped_of(recipe))
    monitor = Monitor(rollouts, metrics, alarms, per_step=per_step_of(recipe))
    monitor.finish()
    return monitor.results()


def parts(folder: Path, count: int, random: Random) -> Iterator[tuple[Path, Path]]:
    """Random ranges of steps of a run, as files of their own."""
    size = per_step_of(recipe_of(folder))
    rows, steps = list(read_jsonl(folder / "rollouts.jsonl")), list(read_jsonl(folder / "metrics.jsonl"))
    with tempfile.TemporaryDirectory() as kept:
        files = Path(kept) / "rollouts.jsonl", Path(kept) / "metrics.jsonl"
        for _ in range(count):
            first = random.randrange(max(1, len(steps) - LEAST))
            last = random.randint(min(len(steps), first + LEAST), len(steps))
            for file, some in zip(files, (rows[first * size : last * size], steps[first:last]), strict=True):
                file.write_text("".join(json.dumps(row) + "\n" for row in some), encoding="utf-8")
            yield files


def table(title: str, found: list[list[AlarmResult]]) -> None:
    from statsmodels.stats.proportion import proportion_confint

    print(f"\n{title}")
    fired = Counter(r.alarm for some in found for r in some if r.state == "alarm")
    silent = Counter(r.alarm for some in found for r in some if r.state == "cannot tell")
    for name in ALARMS:
        n = len(found) - silent[name]
        low, high = proportion_confint(fired[name], n, method="wilson") if n else (0.0, 1.0)
        print(f"{name:20} {fired[name]:4}/{n:<4} [{low:.1%}, {high:.1%}]  cannot tell {silent[name]}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--judge")
    parser.add_argument("--parts", type=int, default=40)
    args = parser.parse_args()
    whole = [results(run, run / "rollouts.jsonl", run / "metrics.jsonl", args.judge) for run in args.runs]
    table(f"{len(whole)} whole runs", whole)
    for run, some in zip(args.runs, whole, strict=True):
        print(run.name, {r.alarm: r.began for r in some if r.state == "alarm"})
    random = Random(0)
    cut = [results(run, *files, args.judge) for run in args.runs for files in parts(run, args.parts, random)]
    table(f"{len(cut)} random parts of {LEAST} steps or more (not independent)", cut)
    for name, worst in sorted({r.alarm: r.text for some in cut for r in some if r.state == "alarm"}.items()):
        print(name, worst)


if __name__ == "__main__":
    main()
