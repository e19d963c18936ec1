"""The folder that an import writes: never half, never somebody else's."""

from __future__ import annotations

import glob
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lrmctl.errors import RunExistsError
from lrmctl.models.files import read_object
from lrmctl.runs.output import refuse_no_folder

MANIFEST = "manifest.json"
WRITER = "lrmctl model import"
_PART = re.compile(r"\.(\d+)-[0-9a-f]{8}\.part")


def check_place(out: Path, *, force: bool = False) -> None:
    """Check that the folder can be written.

    Args:
        force: replace what an earlier import has written there.

    Raises:
        LrmctlError: it is no folder, or cannot be one.
        RunExistsError: something is in it.
    """
    refuse_no_folder(out, "OUT")
    if not out.is_dir() or not any(out.iterdir()):
        return
    ours = _is_import(out)
    if force and ours:
        return
    what = "holds an imported model already" if ours else "is not empty"
    fix = "name a new folder, or add --force" if ours and not force else "name a new folder"
    raise RunExistsError(what, str(out), f"{fix}; --force replaces imported models only" if not ours else fix)


@contextmanager
def new_folder(out: Path) -> Iterator[Path]:
    """A folder beside `out` that takes its place on success, and is removed after an error."""
    out = out.resolve()
    out.parent.mkdir(parents=True, exist_ok=True)
    _remove_left(out)
    part = out.with_name(f"{out.name[:200]}.{os.getpid()}-{secrets.token_hex(4)}.part")
    part.mkdir()
    try:
        yield part
        _replace(part, out)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise


def _replace(part: Path, out: Path) -> None:
    if not out.is_dir():
        part.rename(out)
        return
    old = out.with_name(f"{part.name}.old")
    out.rename(old)
    try:
        part.rename(out)
    except BaseException:
        old.rename(out)
        raise
    shutil.rmtree(old)


def _remove_left(out: Path) -> None:
    """Remove what killed imports to the same place have left."""
    import psutil

    for folder in out.parent.glob(f"{glob.escape(out.name[:200])}.*.part"):
        found = _PART.fullmatch(folder.name.removeprefix(out.name[:200]))
        if found and folder.is_dir() and not psutil.pid_exists(int(found[1])):
            shutil.rmtree(folder, ignore_errors=True)


def _is_import(folder: Path) -> bool:
    try:
        return read_object(folder / MANIFEST).get("written_by") == WRITER
    except ValueError:
        return False
