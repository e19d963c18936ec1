"""Run a trainer as a subprocess on this machine and leave nothing behind, however it or lrmctl ends.

The trainer's output goes to a log file; whoever launches reads it from there while it grows. This room knows no
backend.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from lrmctl.backends import supervisor

POLL = 0.2
"""Seconds between two looks at the log and at `abort`."""


class Tail:
    """Complete lines of a growing file; a carriage return ends a line too, since progress bars use it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = path.stat().st_size if path.exists() else 0
        self._rest = b""

    def lines(self) -> list[str]:
        """Lines since the last call."""
        if not self._path.exists():
            return []
        with self._path.open("rb") as file:
            file.seek(self._offset)
            new = file.read()
        self._offset += len(new)
        *whole, self._rest = (self._rest + new).replace(b"\r", b"\n").split(b"\n")
        return [w.decode("utf-8", "replace") for w in whole if w]


def run(
    argv: Sequence[str],
    env: Mapping[str, str],
    *,
    cwd: Path,
    log: Path,
    on_lines: Callable[[list[str]], None],
    abort: Callable[[], Exception | None] = lambda: None,
    keep: Sequence[str] = (),
) -> int:
    """Run a command until it ends.

    Args:
        env: variables added to this process's own.
        log: file that its output is added to.
        on_lines: called in this thread with the lines of output as they come, and once more at the end.
        abort: polled; an exception that it returns ends the run.
        keep: patterns of temporary files that are saved beside the log if the command fails.

    Returns:
        The exit code; 128 + n if signal n killed it.

    Raises:
        Exception: whatever `abort` returned.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    marker, tail = uuid.uuid4().hex, Tail(log)
    process = _start(marker, argv, env, cwd, log, keep)
    try:
        while process.poll() is None:
            _raise(abort())
            time.sleep(POLL)
            on_lines(tail.lines())
        _raise(abort())
    finally:
        _stop(process, marker)
    on_lines(tail.lines())
    return process.returncode


def _raise(error: Exception | None) -> None:
    if error is not None:
        raise error


def _start(
    marker: str, argv: Sequence[str], env: Mapping[str, str], cwd: Path, log: Path, keep: Sequence[str]
) -> subprocess.Popen[bytes]:
    script = [sys.executable, "-P", str(Path(supervisor.__file__))]
    command = [*script, marker, str(log.absolute()), str(cwd), *keep, "--", *argv]
    return subprocess.Popen(
        command,
        env={**os.environ, **env},
        stdin=subprocess.PIPE,
        start_new_session=True,  # Ctrl-C reaches lrmctl alone, which then ends the rest in order
    )


def _stop(process: subprocess.Popen[bytes], marker: str) -> None:
    """Close the pipe, wait for the supervisor to tidy up, and see to what it could not, a second Ctrl-C included."""
    assert process.stdin is not None
    with contextlib.suppress(OSError):
        process.stdin.close()
    interrupted = None
    while process.poll() is None:
        try:
            process.wait()
        except KeyboardInterrupt as error:
            interrupted = error
    if process.returncode < 0:  # only if the supervisor itself was killed
        supervisor.end(supervisor.marked(marker))
    if interrupted is not None:
        raise interrupted
