"""Summarizes a run from its folder alone: state, progress, metrics, attempts, checkpoints, disk usage.

Only `remove` changes anything.
"""

from __future__ import annotations

import shutil
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from lrmctl.errors import LrmctlError, RunExistsError
from lrmctl.runs.check import refuse_damaged
from lrmctl.runs.damage import read_object
from lrmctl.runs.folder import RunFolder
from lrmctl.runs.holding import hold_all, is_held
from lrmctl.runs.jsonl import read_jsonl

_CHECKPOINTS = ("checkpoints", "checkpoints.old")


def run_summary(folder: RunFolder) -> dict[str, Any]:
    """The facts of one line in a list of runs; see `_run_summary`. A damaged run's state names the damaged file."""
    try:
        refuse_damaged(folder.path)
        return _run_summary(folder)
    except (LrmctlError, OSError) as error:
        state = f"damaged: {error.where}" if isinstance(error, LrmctlError) else f"damaged: {error.filename}"
        return {**dict.fromkeys(("step", "total", "reward")), "state": state, "updated": "", "evaluated": False}


def _run_summary(folder: RunFolder) -> dict[str, Any]:
    """`state, step, total, reward, updated, evaluated`; None where a run has no value."""
    status, last = folder.status(), last_metrics(folder)
    return {
        "state": status.get("state", "not trained here"),
        "step": int(last["step"]) if last else None,
        "total": status.get("steps") or (last and last.get("total")),
        "reward": last.get("reward") if last else None,
        "updated": status.get("updated", ""),
        "evaluated": (folder.eval / "summary.json").exists(),
    }


def run_details(folder: RunFolder) -> dict[str, Any]:
    """The data of `lrmctl run show`."""
    status = folder.status()
    return {
        "path": folder.path,
        "status": status,
        "recipe_sha256": _json(folder.lock).get("recipe_sha256"),
        "model": _json(folder.lock).get("model", {}),
        "attempts": [_attempt(path, folder) for path in folder.attempts()],
        "metrics": last_metrics(folder),
        "best": best_metrics(folder),
        "evaluations": list(read_jsonl(folder.path / "evaluations.jsonl")),
        "checkpoints": [_checkpoint(path, folder) for path in checkpoint_folders(folder)],
        "bytes": size(folder.path),
        "eval": _json(folder.eval / "summary.json") or None,
    }


def last_metrics(folder: RunFolder) -> dict[str, Any] | None:
    rows = list(read_jsonl(folder.metrics))
    return rows[-1] if rows else None


def best_metrics(folder: RunFolder) -> dict[str, Any] | None:
    """The row with the highest reward; without rewards, the one with the lowest loss."""
    rows = list(read_jsonl(folder.metrics))
    rewarded = [row for row in rows if "reward" in row]
    if rewarded:
        return max(rewarded, key=lambda row: float(row["reward"]))
    return min((row for row in rows if "loss" in row), key=lambda row: float(row["loss"]), default=None)


def checkpoint_folders(folder: RunFolder) -> list[Path]:
    """Folders of checkpoints that training can resume from, by step."""
    found = [p for p in folder.checkpoints.glob("**/*global_step*") if p.is_dir() and not p.name.endswith("_hf")]
    return sorted(found, key=lambda p: (p.parent.name, int("".join(c for c in p.name if c.isdigit()) or 0)))


def size(path: Path) -> int:
    """Bytes of a file or of all files in a folder; files deleted meanwhile count as 0."""
    found = 0
    for file in [path] if path.is_file() else path.rglob("*"):
        with suppress(FileNotFoundError):
            facts = file.lstat()
            found += facts.st_size if stat.S_ISREG(facts.st_mode) else 0
    return found


def remove(folder: RunFolder, *, checkpoints_only: bool = False) -> int:
    """Delete a run, or only its checkpoints; returns the bytes freed.

    Raises:
        RunExistsError: another process is using the run.
    """
    with hold_all(folder.path, "deleting"):
        targets = [folder.path / name for name in _CHECKPOINTS] if checkpoints_only else [folder.path]
        there = [target for target in targets if target.is_dir() and not target.is_symlink()]
        freed = sum(size(target) for target in there)
        for target in there:
            shutil.rmtree(target)
    return freed


def refuse_running(folder: RunFolder) -> None:
    """Raises RunExistsError if the run is being trained."""
    if is_held(folder.path):
        raise RunExistsError(f"{folder.name!r} is being trained right now", str(folder.path), "end that first")


def log_of(folder: RunFolder, attempt: int | None = None) -> Path | None:
    """The output of an attempt, the last one by default; None if there is none."""
    logs = [path / "output.log" for path in folder.attempts() if attempt in (None, int(path.name.split("-")[1]))]
    return logs[-1] if logs and logs[-1].exists() else None


def lines_of(log: Path) -> Iterator[str]:
    """Lines of a log; for a progress bar only its last state."""
    with log.open(encoding="utf-8", errors="replace", newline="\n") as file:
        for line in file:
            yield line.rstrip("\r\n").rpartition("\r")[2]


def _attempt(path: Path, folder: RunFolder) -> dict[str, Any]:
    number, status = int(path.name.split("-")[1]), folder.status()
    last = number == status.get("attempt")
    return {
        "attempt": number,
        "log": path / "output.log",
        "state": status.get("state") if last else "ended before",
        "error": status.get("error") if last else None,
        "exit_code": status.get("exit_code") if last else None,
        "resumed_from": status.get("resumed_from") if last else None,
    }


def _checkpoint(path: Path, folder: RunFolder) -> dict[str, Any]:
    return {"path": path.relative_to(folder.path).as_posix(), "bytes": size(path)}


def _json(path: Path) -> dict[str, Any]:
    return read_object(path)
