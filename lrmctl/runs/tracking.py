"""Copies metrics.jsonl to Weights & Biases, if it is installed and enabled through the environment.

`WANDB_API_KEY` or `WANDB_MODE=offline` enables it; project, entity etc. are wandb's own variables. OpenRLHF would take
the key as a flag, which every user of the machine could read; here it stays in the environment. Failures of wandb never
affect training.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

from lrmctl.runs.folder import RunFolder

Log = Callable[[int, Mapping[str, float]], None]


def wandb_enabled() -> bool:
    """Whether the environment enables wandb."""
    mode = os.environ.get("WANDB_MODE", "")
    return mode == "offline" or (mode not in ("disabled", "dryrun") and bool(os.environ.get("WANDB_API_KEY")))


@contextmanager
def wandb_logger(folder: RunFolder, facts: Mapping[str, Any], say: Callable[[str], None]) -> Iterator[Log]:
    """Yield a function that logs a step's metrics; it does nothing if wandb is not enabled.

    Args:
        facts: the run's configuration (its resolved recipe).
        say: called with the run's address, or why it is not logged.
    """
    run = _start(folder, facts, say) if wandb_enabled() else None
    broken = False

    def log(step: int, metrics: Mapping[str, float]) -> None:
        nonlocal broken
        if run is None or broken or not metrics:
            return
        try:
            run.log(dict(metrics), step=step)
        except Exception as error:  # a failing copy must not end the training
            broken = True
            say(f"wandb: {error}; the run continues without it")

    try:
        yield log
    except BaseException:
        _end(run, 1)
        raise
    _end(run, 0)


def logged_progress(log: Log, on_progress: Callable[[Any], None]) -> Callable[[Any], None]:
    """A progress callback that logs before it shows."""

    def report(progress: Any) -> None:
        log(progress.step, progress.metrics)
        on_progress(progress)

    return report


def _start(folder: RunFolder, facts: Mapping[str, Any], say: Callable[[str], None]) -> Any:
    """Start the wandb run, or continue it after a resume; None if that fails."""
    if find_spec("wandb") is None:
        say("wandb is enabled (WANDB_API_KEY) but not installed: metrics are only in metrics.jsonl")
        return None
    try:
        import wandb

        folder.logs.mkdir(parents=True, exist_ok=True)
        name = hashlib.sha256(folder.lock.read_bytes() + folder.name.encode()).hexdigest()[:16]
        run = wandb.init(
            settings=wandb.Settings(silent=True),  # its own output would break the live panel
            id=_id(folder, name),
            name=folder.name,
            dir=str(folder.logs),
            config=dict(facts),
            resume="allow",
            project=os.environ.get("WANDB_PROJECT", "lrmctl"),
        )
        say(f"wandb: {run.url or run.dir}")
        return run
    except Exception as error:  # network, a wrong key, a full disk
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        say(f"wandb: {reason}; the run continues without it")
        return None


def _id(folder: RunFolder, fresh: str) -> str:
    """One wandb id for all attempts."""
    file = folder.logs / "wandb-id"
    if not file.exists():
        file.write_text(fresh, encoding="utf-8")
    return file.read_text(encoding="utf-8").strip()


def _end(run: Any, code: int) -> None:
    if run is None:
        return
    try:
        run.finish(exit_code=code)
    except Exception:
        return  # ignored: the metrics are on disk
