"""Markers that identify folders created by lrmctl, so that nothing else is ever deleted."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lrmctl.errors import LrmctlError, RunExistsError

MARKER_FILE = ".lrmctl.json"
_WRITTEN = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
_OF_EVALUATIONS = re.compile(r"eval|eval-.+|analysis|stages|export|report\.html|table\.json|\.held")


def mark(folder: Path) -> None:
    """Create a folder and mark it as lrmctl's if it is new or empty; leave a non-empty one unchanged."""
    folder.mkdir(parents=True, exist_ok=True)
    if next(folder.iterdir(), None) is None:
        from lrmctl._util.version import __version__
        from lrmctl.runs.writing import write_json

        write_json(folder / MARKER_FILE, {"lrmctl": __version__, "what": "a run folder; lrmctl may delete it whole"})


def refuse_foreign(folder: Path) -> None:
    """Refuse to write into a folder that only happens to have a run's name.

    Raises:
        RunExistsError: it is not empty and not lrmctl's, or not a folder.
    """
    if folder.is_symlink() and not folder.exists():
        raise RunExistsError("is a broken link", str(folder), "choose another --name, or remove it")
    if folder.exists() and not folder.is_dir():
        raise RunExistsError("is a file, not a run's folder", str(folder), "choose another --name, or move it away")
    if folder.is_dir() and next(folder.iterdir(), None) is not None and not is_ours(folder):
        raise RunExistsError(
            "this folder holds something that is not a run of lrmctl", str(folder), "choose another --name"
        )


def is_ours(folder: Path) -> bool:
    """Whether lrmctl created this folder, by its marker or, for older folders, by its content."""
    if folder.is_symlink() or not folder.is_dir():
        return False
    return (
        "lrmctl" in _read(folder / MARKER_FILE)
        or any(is_so(_read(folder / name)) for name, is_so in _BEFORE.items())
        or _only_evaluated(folder)
    )


def _only_evaluated(folder: Path) -> bool:
    """Whether the folder holds only lrmctl's evaluations."""
    names = [path.name for path in folder.iterdir()]
    summaries = [_read(path) for path in folder.glob("eval*/summary.json")]
    known = all(_OF_EVALUATIONS.fullmatch(name) for name in names)
    return known and any({"model", "fingerprint", "sets"} <= summary.keys() for summary in summaries)


def _is_lock(found: dict[str, Any]) -> bool:
    return re.fullmatch("[0-9a-f]{64}", str(found.get("recipe_sha256"))) is not None and "versions" in found


def _is_status(found: dict[str, Any]) -> bool:
    known = found.get("state") in ("running", "done", "failed")
    return known and _WRITTEN.fullmatch(str(found.get("updated"))) is not None


def _is_study(found: dict[str, Any]) -> bool:
    return "rebuild_base" in found and isinstance(found.get("recipe"), dict)


_BEFORE: dict[str, Callable[[dict[str, Any]], bool]] = {
    "lock.json": _is_lock,
    "status.json": _is_status,
    "study.json": _is_study,
}


def _read(path: Path) -> dict[str, Any]:
    """The JSON object in a file; empty for anything else."""
    try:
        found = json.loads(path.read_text(encoding="utf-8")) if path.is_file() and not path.is_symlink() else {}
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def refuse_around(folder: Path, runs_dir: Path) -> None:
    """Refuse the runs folder and its parents, which are not runs.

    Raises:
        LrmctlError: `folder` is one of these.
    """
    real, runs = folder.resolve(), runs_dir.resolve()
    if real == runs or real in runs.parents:
        raise LrmctlError("is the runs folder or one of its parents, not a run", str(folder), "lrmctl run list")


def refuse_deleting(folder: Path, runs_dir: Path) -> None:
    """Refuse to delete anything but a run folder that lrmctl created.

    Raises:
        LrmctlError: it must not be deleted; says why.
    """
    real, where = folder.resolve(), str(folder)
    if folder.is_symlink():
        raise LrmctlError(f"is a link to {real}, not a run's folder", where, "remove the link yourself")
    refuse_around(folder, runs_dir)
    if any(real == kept or real in kept.parents for kept in (Path.cwd(), Path.home())):
        raise LrmctlError("is the working or home folder, or a parent of one", where, "go elsewhere first")
    if not is_ours(folder):
        what = "was not made by lrmctl as far as its files say, so it is not deleted"
        raise LrmctlError(what, where, "look at it, and remove it yourself")
