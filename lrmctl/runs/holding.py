"""Locks that allow one writer per folder, across processes and machines that share the file system.

The lock is a kernel lock (`flock` on `.held`), released however the process ends, so there are no stale locks. The
file's content is only used in error messages.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shlex
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO

from lrmctl.errors import RunExistsError
from lrmctl.runs.writing import remove_partial_files

LOCK_FILE = ".held"
_DEEPEST = 4
"""Folders between a study's and a lock: base, training seed, arm, evaluation."""


@contextmanager
def hold(folder: Path, doing: str, *, patience: float = 1.0) -> Iterator[None]:
    """Hold a folder exclusively; created if missing.

    Args:
        doing: the activity shown to other processes: `training`, `evaluating`.
        patience: seconds to wait for another holder.

    Raises:
        RunExistsError: another process holds it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with _held(folder / LOCK_FILE, folder, doing, patience):
        remove_partial_files(folder)
        yield


@contextmanager
def hold_file(path: Path, doing: str) -> Iterator[None]:
    """Hold an output file exclusively, by a lock next to it (`.NAME.held`); its folder is created.

    Args:
        doing: as in `hold`.

    Raises:
        RunExistsError: another process holds it.
        OSError: the lock file cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with _held(path.with_name(f".{path.name}{LOCK_FILE}"), path, doing, 1.0):
        yield


@contextmanager
def _held(lock: Path, held: Path, doing: str, patience: float) -> Iterator[None]:
    with lock.open("a+", encoding="utf-8") as file:
        if not _take(file, fcntl.LOCK_EX, patience):
            holder = _holder(file, doing, held.name)
            raise RunExistsError(f"another process is {holder}", str(held), "wait for it, or choose another name")
        _sign(file, doing)
        yield


@contextmanager
def hold_all(folder: Path, doing: str) -> Iterator[None]:
    """Hold a folder and every lockable folder inside it, e.g. to delete it.

    Raises:
        RunExistsError: another process holds one of them.
    """
    with ExitStack() as held:
        held.enter_context(hold(folder, doing))
        patterns = ["/".join("*" * depth) for depth in range(1, _DEEPEST + 1)]
        for inside in sorted({p.parent for pattern in patterns for p in folder.glob(f"{pattern}/{LOCK_FILE}")}):
            if not inside.is_symlink():
                held.enter_context(hold(inside, doing))
        yield


@contextmanager
def one_at_a_time(folder: Path) -> Iterator[None]:
    """Wait for exclusive access to a folder in which lrmctl leaves no lock file."""
    folder.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # the file system does not support locks on folders
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def is_held(folder: Path) -> bool:
    """Whether another process holds the folder."""
    try:
        with (folder / LOCK_FILE).open(encoding="utf-8") as file:
            return not _take(file, fcntl.LOCK_SH, 0.0)
    except OSError:
        return False


def _take(file: IO[str], kind: int, patience: float) -> bool:
    """Lock an open file, waiting up to `patience` seconds because `is_held` takes the lock briefly."""
    end = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(file.fileno(), kind | fcntl.LOCK_NB)
            return True
        except OSError as error:
            if error.errno not in (errno.EAGAIN, errno.EACCES):
                return True  # no lock support: better unguarded than unusable
            if time.monotonic() >= end:
                return False
            time.sleep(0.05)


def _sign(file: IO[str], doing: str) -> None:
    facts = {
        "doing": doing,
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "command": shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]]) if sys.argv else "",
        "since": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }
    file.seek(0)
    file.truncate()
    file.write(json.dumps(facts) + "\n")
    file.flush()


def _holder(file: IO[str], doing: str, name: str) -> str:
    """Describe the holder, from the lock file's content."""
    facts: dict[str, object] = {}
    with suppress(OSError, ValueError):
        file.seek(0)
        facts = dict(json.loads(file.read()))
    if not facts:
        return f"{doing} {name!r} right now"
    who = f"pid {facts.get('pid')} on {facts.get('host')}, since {facts.get('since')}: {facts.get('command')}"
    return f"{facts.get('doing')} {name!r} right now ({who})"
