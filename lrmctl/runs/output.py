"""Files that a user names with `--out`: an ordinary file, and never somebody else's by accident."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable
from pathlib import Path

from lrmctl.errors import LrmctlError, RunExistsError
from lrmctl.runs.names import quoted

IsOurs = Callable[[bytes], bool]
"""Whether a file that begins so was written by the same command before."""
_LOOK = 2**20
_FORCE = "name another file, or add --force"


def check_output(
    path: Path, is_ours: IsOurs, *, force: bool = False, otherwise: str = _FORCE, option: str = "--out"
) -> None:
    """See that a file can be written there, and that nothing is lost.

    Args:
        is_ours: told the file's first MiB.
        force: replace whatever ordinary file lies there.
        otherwise: what a user can do.
        option: which one names it.

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
    """A file takes the place of nothing but a file.

    Raises:
        LrmctlError: what lies there is something else.
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
        raise LrmctlError("lies below a file", where, "name a file in a folder") from None
    kinds = {stat.S_IFDIR: "a folder", stat.S_IFLNK: "a link", stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket"}
    if not stat.S_ISREG(mode):
        what = kinds.get(stat.S_IFMT(mode), "a device")
        raise LrmctlError(f"is {what}, not a file that can be written anew", where, "name a file")


def refuse_no_folder(path: Path, option: str) -> None:
    """A folder, or a place where one can be made.

    Raises:
        LrmctlError: something else lies there, or no path can be so.
    """
    where, fix = f"{option} {quoted(str(path))}", "name a folder"
    try:
        if not stat.S_ISDIR(path.stat().st_mode):
            raise LrmctlError("is no folder", where, fix)
    except FileNotFoundError:
        if path.is_symlink():
            raise LrmctlError("is a link to nothing", where, fix) from None
    except NotADirectoryError:
        raise LrmctlError("lies below a file", where, fix) from None
    except OSError as error:
        raise LrmctlError(f"cannot be a folder: {error.strerror}", where, fix) from None
    except ValueError:
        raise LrmctlError("cannot be a folder: there is a zero byte in it", where, fix) from None


def _refuse_locked(path: Path, where: str) -> None:
    """Said before the work that is to be written there, not after it."""
    folder = next((folder for folder in path.parents if folder.exists()), Path())
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        raise LrmctlError(f"cannot be made: nothing can be written in {folder}", where, "name a file elsewhere")


def object_with(*keys: str) -> IsOurs:
    """Knows a JSON object, or a JSONL file whose first row is one, by some of its keys."""

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
    """Knows a page that `lrmctl report` wrote."""
    return b'<meta name="generator" content="lrmctl ' in begin[:5000]
