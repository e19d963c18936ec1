"""A copy of metrics.jsonl at Weights & Biases, where that is installed and asked for through the environment.

`WANDB_API_KEY`, or `WANDB_MODE=offline`, turns it on; project, entity and the like are wandb's own variables. OpenRLHF
would take the key as a flag, which every user of the machine could read; here it never leaves the environment.
Nothing that goes wrong with it touches the training.
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
    """Whether the environment asks for it."""
    mode = os.environ.get("WANDB_MODE", "")
    return mode == "offline" or (mode not in ("disabled", "dryrun") and bool(os.environ.get("WANDB_API_KEY")))


@contextmanager
def wandb_logger(folder: RunFolder, facts: Mapping[str, Any], say: Callable[[str], None]) -> Iterator[Log]:
    """A function that logs a step's metrics; one that does nothing where wandb is not wanted.

    Args:
        facts: what the run is (its resolved recipe), shown beside the curves.
        say: told where the run is shown, or why it is not.
    """
    run = _start(folder, facts, say) if wandb_enabled() else None
    broken = False

    def log(step: int, metrics: Mapping[str, float]) -> None:
        nonlocal broken
        if run is None or broken or not metrics:
            return
        try:
            run.log(dict(metrics), step=step)
        except Exception as error:  # the training must not end for the want of a copy
            broken = True
            say(f"wandb: {error}; the run goes on without it")

    try:
        yield log
    except BaseException:
        _end(run, 1)
        raise
    _end(run, 0)


def logged_progress(log: Log, on_progress: Callable[[Any], None]) -> Callable[[Any], None]:
    """Progress that is logged before it is shown."""

    def report(progress: Any) -> None:
        log(progress.step, progress.metrics)
        on_progress(progress)

    return report


def _start(folder: RunFolder, facts: Mapping[str, Any], say: Callable[[str], None]) -> Any:
    """The run at wandb, which a resumed run goes on with; None if that is not to be had."""
    if find_spec("wandb") is None:
        say("wandb is asked for (WANDB_API_KEY) and not installed: metrics are in metrics.jsonl alone")
        return None
    try:
        import wandb

        folder.logs.mkdir(parents=True, exist_ok=True)
        name = hashlib.sha256(folder.lock.read_bytes() + folder.name.encode()).hexdigest()[:16]
        run = wandb.init(
            settings=wandb.Settings(silent=True),  # its own talk would tear the live panel apart
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
        say(f"wandb: {reason}; the run goes on without it")
        return None


def _id(folder: RunFolder, fresh: str) -> str:
    """One name at wandb for all attempts."""
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
        return  # said nothing new: whatever it is, the metrics are on disk
