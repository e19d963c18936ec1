"""The steps of a training run as they end: rows of metrics.jsonl, and progress with the time that is left."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from typing import Any

from lrmctl._util.disk import naming
from lrmctl.backends.base import Progress
from lrmctl.runs.jsonl import read_jsonl, write_jsonl

_RECENT = 10
"""Steps whose median time is that of the steps to come."""


class StepLog:
    """Writes metrics.jsonl, one row per step: `step`, `total`, `seconds` since the run began, and the metrics.

    Args:
        path: metrics.jsonl; rows after `start` are dropped first, because a resumed run writes them again.
        total: number of steps of the run.
        start: step of the checkpoint that the run continues from, 0 for none.

    Attributes:
        last: the last step recorded.
    """

    def __init__(self, path: Path, total: int, start: int = 0) -> None:
        self.path, self.total, self.start, self.last = path, total, start, start
        kept = [row for row in read_jsonl(path) if row["step"] <= start]
        write_jsonl(path, kept)
        self._before = float(kept[-1]["seconds"]) if kept else 0.0
        self._began = self._clock = time.monotonic()
        self._times: list[float] = []

    def seconds(self, now: float | None = None) -> float:
        """Seconds since the run began, without the time between its launches.

        Args:
            now: by `time.monotonic()`.
        """
        return round(self._before + (time.monotonic() if now is None else now) - self._began, 3)

    def record(self, step: int, metrics: Mapping[str, float], checkpoint: int = 0) -> Progress:
        """Write the row of a step that has ended, and make the progress to report.

        Args:
            metrics: `time/step`, if it is there, is how long the step took.
            checkpoint: step of the latest checkpoint, 0 for none.
        """
        now, shown = time.monotonic(), dict[str, float]()
        if "time/step" in metrics or self.last > self.start:  # the first interval includes the trainer's start-up
            self._times.append(metrics.get("time/step", (now - self._clock) / (step - self.last)))
            shown["seconds_left"] = round(median(self._times[-_RECENT:]) * (self.total - step), 1)
        self._clock, self.last = now, step
        row = {"step": step, "total": self.total, "seconds": self.seconds(now), **metrics}
        with naming(self.path), self.path.open("a", encoding="utf-8") as out:
            out.write(json.dumps(row) + "\n")
        return Progress(step, self.total, numbers(row) | shown, checkpoint=checkpoint)


def numbers(row: Mapping[str, Any]) -> dict[str, float]:
    """The metrics of a row, and its seconds."""
    return {k: v for k, v in row.items() if k not in ("step", "total")}
