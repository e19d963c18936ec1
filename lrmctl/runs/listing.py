"""Which folders are runs, and all runs of a folder. Light to import: shells complete with it."""

from __future__ import annotations

from pathlib import Path

from lrmctl.runs.marks import MARKER_FILE
from lrmctl.runs.study_cells import BASE, is_study


def is_run(folder: Path) -> bool:
    """Whether this is the folder of a training run, or one created by an evaluation."""
    files = (MARKER_FILE, "status.json", "lock.json", "eval/summary.json", "eval/rows.jsonl")
    return any((folder / file).exists() for file in files) or any(folder.glob("eval-*/summary.json"))


def all_runs(runs_dir: Path) -> list[Path]:
    """Every run folder: directly under the runs folder, or one of a study's cells."""
    direct = sorted(p for p in runs_dir.glob("*") if p.is_dir())
    patterns = ("*", f"*/{BASE}", "*/seed-*/*")
    inside = [p for study in direct if is_study(study) for pattern in patterns for p in study.glob(pattern)]
    return sorted(p for p in {*direct, *inside} if p.is_dir() and _may_be_run(p))


def _may_be_run(folder: Path) -> bool:
    """Whether it is a run, or a folder without read permission, which is listed instead of hiding other runs."""
    try:
        return is_run(folder)
    except PermissionError:
        return True
