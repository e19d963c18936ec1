"""Checkpoints of TRL's trainers: folders `checkpoint-N` below `checkpoints/`; `trainer_state.json` is written last."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

from lrmctl.backends import Checkpoint


def last_checkpoint(run_dir: Path, updates: int) -> Checkpoint | None:
    """The last checkpoint that can be loaded; `passed_over` says what is wrong with later ones.

    Args:
        updates: TRL's optimizer steps in one step of lrmctl.
    """
    passed: list[str] = []
    for step, folder in sorted(_folders(run_dir), reverse=True):
        reason = _why_broken(folder)
        if not reason:
            return Checkpoint(step // updates, folder, folder.stat().st_mtime, tuple(passed))
        passed.append(f"{folder.name}: {reason}")
    return None


def last_step(run_dir: Path, updates: int) -> int:
    """Step of the last checkpoint, without checking its files; 0 for none."""
    return max((step for step, folder in _folders(run_dir) if (folder / "trainer_state.json").exists()), default=0) // (
        updates
    )


def set_later_aside(run_dir: Path, path: Path) -> None:
    """Move checkpoints that are later than `path` to `checkpoints.old`, because they are made again."""
    ours = _step(path)
    for step, folder in _folders(run_dir):
        if step > ours:
            old = run_dir / "checkpoints.old"
            old.mkdir(exist_ok=True)
            folder.rename(next(p for n in range(1, 10_000) if not (p := old / f"{folder.name}.{n}").exists()))


def _folders(run_dir: Path) -> list[tuple[int, Path]]:
    found = [(_step(folder), folder) for folder in (run_dir / "checkpoints").glob("checkpoint-*") if folder.is_dir()]
    return [(step, folder) for step, folder in found if step]


def _step(folder: Path) -> int:
    number = folder.name.removeprefix("checkpoint-")
    return int(number) if number.isdigit() else 0


def _why_broken(folder: Path) -> str:
    try:
        json.loads((folder / "trainer_state.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return "it is not complete"
    if not any(folder.glob("*.safetensors")):
        return "it has no weights"
    for file in sorted(folder.glob("*.pt")):
        if not zipfile.is_zipfile(file):
            return f"{file.name} is cut off"
    return ""
