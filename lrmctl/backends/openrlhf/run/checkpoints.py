"""DeepSpeed checkpoints of a run: finds the last one that can be loaded, and makes it the current one.

A checkpoint is a folder `global_stepN` below `checkpoints/` (SFT) or below `checkpoints/_actor` and, with a critic,
`checkpoints/_critic` (RL). DeepSpeed names the last one in a file `latest`, written when that checkpoint is complete. A
kill between actor and critic, or a disk that lost data, leaves a `latest` that cannot be resumed from.
"""

from __future__ import annotations

import functools
import re
import zipfile
from dataclasses import dataclass
from pathlib import Path

from lrmctl.backends.base import Checkpoint

_TAG = re.compile(r"(?:best_)?global_step(\d+)")
_READ_WHOLE = 2**32
"""Bytes up to which a file's content is checked too, and not only its end."""


@dataclass(frozen=True)
class _Found:
    step: int
    tag: str
    broken: str = ""


def last_checkpoint(run_dir: Path) -> Checkpoint | None:
    """The last checkpoint that every role can load; `passed_over` says what is wrong with later ones."""
    roles = _roles(run_dir)
    if not roles:
        return None
    passed: list[str] = []
    for found in _tags(roles):
        if not found.broken:
            folder = roles[0] / found.tag
            return Checkpoint(found.step, folder, folder.stat().st_mtime, tuple(passed))
        passed.append(f"{found.tag}: {found.broken}")
    return None


def restore(run_dir: Path) -> Checkpoint | None:
    """Make the last loadable checkpoint the current one; later ones move to `checkpoints.old`."""
    last = last_checkpoint(run_dir)
    if last is None:
        return None
    for role in _roles(run_dir):
        for folder in role.iterdir():
            match = _TAG.fullmatch(folder.name)
            if match and int(match.group(1)) > last.step:
                set_aside(run_dir, folder)
        (role / "latest").write_text(last.path.name, encoding="utf-8")
    return last


def named_step(run_dir: Path) -> int:
    """Step of the last checkpoint that every role has written, without checking its files; 0 for none."""
    return min((_latest(role) for role in _roles(run_dir)), default=0)


def set_aside(run_dir: Path, folder: Path) -> Path:
    """Move a folder below `checkpoints` to the same place below `checkpoints.old`; name clashes get a number."""
    old = run_dir / "checkpoints.old" / folder.relative_to(run_dir / "checkpoints")
    old.parent.mkdir(parents=True, exist_ok=True)
    free = next(p for n in range(1, 10_000) if not (p := old.with_name(f"{old.name}.{n}")).exists())
    folder.rename(free)
    return free


def _roles(run_dir: Path) -> list[Path]:
    """Folders that hold checkpoints of the same steps."""
    root = run_dir / "checkpoints"
    found = [root / name for name in ("_actor", "_critic") if (root / name / "latest").is_file()]
    return found or ([root] if (root / "latest").is_file() else [])


def _tags(roles: list[Path]) -> list[_Found]:
    """Checkpoints up to the step that `latest` names in all roles, last one first."""
    tags = {folder.name for role in roles for folder in role.iterdir() if folder.is_dir()}
    known = [(step, tag) for tag in tags if (step := _step(tag)) and step <= max(map(_latest, roles))]
    return [_Found(step, tag, _why_broken(roles, tag)) for step, tag in sorted(known, reverse=True)]


def _latest(role: Path) -> int:
    return _step((role / "latest").read_text(encoding="utf-8").strip())


def _step(tag: str) -> int:
    match = _TAG.fullmatch(tag)
    return int(match.group(1)) if match else 0


def _why_broken(roles: list[Path], tag: str) -> str:
    for role in roles:
        files = sorted((role / tag).glob("*.pt"))
        if not any("model_states" in file.name for file in files):
            return f"no weights in {role.name}"
        for file in files:
            facts = file.stat()
            if reason := _damage(str(file), facts.st_size, facts.st_mtime_ns):
                return reason
    return ""


@functools.lru_cache(maxsize=256)
def _damage(file: str, size: int, _changed: int) -> str:
    """Why a torch file cannot be read; empty if it can. It is a zip archive, whose directory is at the end."""
    name = Path(file).name
    try:
        with zipfile.ZipFile(file) as archive:
            bad = archive.testzip() if size <= _READ_WHOLE else None
    except (zipfile.BadZipFile, EOFError, ValueError):
        return f"{name} is cut off" if size else f"{name} is empty"
    except OSError as error:
        return f"{name} cannot be read: {error.strerror}"
    return f"{name} is damaged" if bad else ""
