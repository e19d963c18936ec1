"""Weights & Biases as a tracker, if it is installed and enabled through the environment.

`WANDB_API_KEY` or `WANDB_MODE=offline` enables it; project, entity etc. are wandb's own variables. OpenRLHF would take
the key as a flag, which every user of the machine could read; here it stays in the environment.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from lrmctl.errors import LrmctlError
from lrmctl.hooks.specs import TrackedRun, Tracker


def wandb_enabled() -> bool:
    """Whether the environment enables wandb."""
    mode = os.environ.get("WANDB_MODE", "")
    return mode == "offline" or (mode not in ("disabled", "dryrun") and bool(os.environ.get("WANDB_API_KEY")))


class WandbTracker(Tracker):
    """Copies the metrics of a run to Weights & Biases; all attempts of a run are one run there."""

    def __init__(self) -> None:
        self._run: Any = None

    def run_started(self, run: TrackedRun) -> None:
        if find_spec("wandb") is None:
            raise LrmctlError("wandb is enabled (WANDB_API_KEY) but not installed: metrics are only in metrics.jsonl")
        import wandb

        logs = run.folder / "logs"
        logs.mkdir(parents=True, exist_ok=True)
        self._run = wandb.init(
            settings=wandb.Settings(silent=True),  # its own output would break the live panel
            id=_id(run.folder),
            name=run.name,
            dir=str(logs),
            config=dict(run.recipe),
            resume="allow",
            project=os.environ.get("WANDB_PROJECT", "lrmctl"),
        )
        run.say(f"wandb: {self._run.url or self._run.dir}")

    def step(self, step: int, metrics: Mapping[str, float]) -> None:
        self._run.log(dict(metrics), step=step)

    def finished(self, model: Path) -> None:  # noqa: ARG002
        self._run.finish(exit_code=0)

    def failed(self, error: str) -> None:  # noqa: ARG002
        self._run.finish(exit_code=1)


def _id(folder: Path) -> str:
    """One wandb id for all attempts."""
    file = folder / "logs" / "wandb-id"
    if not file.exists():
        lock = (folder / "lock.json").read_bytes()
        file.write_text(hashlib.sha256(lock + folder.name.encode()).hexdigest()[:16], encoding="utf-8")
    return file.read_text(encoding="utf-8").strip()
