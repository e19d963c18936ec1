"""Checks of output files given with `--out`: regular files, and never accidentally someone else's."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable
from pathlib import Path

from lrmctl.errors import LrmctlError, RunExistsError
from lrmctl.runs.names import quoted

IsOurs = Callable[[bytes], bool]
"""Whether a file with this beginning was written by the same command before."""
_LOOK = 2**20
_FORCE = "name another file, or add --force"


def check_output(
    path: Path, is_ours: IsOurs, *, force: bool = False, otherwise: str = _FORCE, option: str = "--out"
) -> None:
    """Check that an output file can be written without losing other data.

    Args:
        is_ours: is given the existing file's first MiB.
        force: replace any regular file.
        otherwise: the fix shown in the error.
        option: the command-line option that names the file.

    Raises:
        LrmctlError: a folder, a device, a link, or a file that is not lrmctl's.
    """
    refuse_special(path, option)
    if force or not path.exists():
        return
    with path.open("rb") as file:
        begin = file.read(_LOOK)
    if begin.strip() and not is_ours(begin):
        what = "holds something that this command did not write, and is not replaced"
        raise RunExistsError(what, f"{option} {path}", otherwise)


def refuse_special(path: Path, option: str = "") -> None:
    """Refuse to write where there is something other than a regular file.

    Raises:
        LrmctlError: the path is something else, or cannot be created.
    """
    where = f"{option} {path}".strip()
    if not path.name:
        raise LrmctlError("names no file", where, "name a file")
    try:
        mode = os.lstat(path).st_mode
    except FileNotFoundError:
        _refuse_locked(path, where)
        return
    except NotADirectoryError:
        raise LrmctlError("has a parent that is a file, not a folder", where, "name a file in a folder") from None
    kinds = {stat.S_IFDIR: "a folder", stat.S_IFLNK: "a link", stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket"}
    if not stat.S_ISREG(mode):
        what = kinds.get(stat.S_IFMT(mode), "a device")
        raise LrmctlError(f"is {what}, not a regular file, so it is not replaced", where, "name a file")


def refuse_no_folder(path: Path, option: str) -> None:
    """Check that the path is a folder or can become one.

    Raises:
        LrmctlError: it is something else, or not a valid path.
    """
    where, fix = f"{option} {quoted(str(path))}", "name a folder"
    try:
        if not stat.S_ISDIR(path.stat().st_mode):
            raise LrmctlError("is no folder", where, fix)
    except FileNotFoundError:
        if path.is_symlink():
            raise LrmctlError("is a broken link", where, fix) from None
    except NotADirectoryError:
        raise LrmctlError("has a parent that is a file, not a folder", where, fix) from None
    except OSError as error:
        raise LrmctlError(f"cannot be a folder: {error.strerror}", where, fix) from None
    except ValueError:
        raise LrmctlError("cannot be a folder: there is a zero byte in it", where, fix) from None


def _refuse_locked(path: Path, where: str) -> None:
    """Fail before the work starts if its output cannot be written."""
    folder = next((folder for folder in path.parents if folder.exists()), Path())
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        raise LrmctlError(f"cannot be made: nothing can be written in {folder}", where, "name a file elsewhere")


def object_with(*keys: str) -> IsOurs:
    """Recognizes a JSON object, or a JSONL file's first row, by some of its keys."""

    def is_ours(begin: bytes) -> bool:
        for text in (begin, begin.splitlines()[0]):
            try:
                found = json.loads(text)
            except (ValueError, RecursionError):
                continue
            return isinstance(found, dict) and set(keys) <= found.keys()
        return all(f'"{key}":'.encode() in begin for key in keys) and len(begin) == _LOOK

    return is_ours


def is_report(begin: bytes) -> bool:
    """Whether this is a page written by `lrmctl report`."""
    return b'<meta name="generator" content="lrmctl ' in begin[:5000]
