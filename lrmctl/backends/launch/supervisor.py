"""A small process between lrmctl and a trainer, so that no trainer outlives lrmctl, however lrmctl dies.

Run as a script: `supervisor.py MARKER LOG CWD [KEEP...] -- ARGV...`, its standard input a pipe from lrmctl. It starts
the trainer in a new session and ends all of its descendants when the trainer has ended, when the pipe closes (lrmctl
died, SIGKILL included) or when it gets SIGTERM. Daemons that leave the process tree (Ray's do) are reparented to it on
Linux, where it is a subreaper; elsewhere they are found by the marker in their environment. The trainer's temporary
files are in one folder, which is deleted at the end; if the trainer failed, files that match KEEP are saved beside the
log. Exit code: the trainer's, 128 + signal if it was killed. Imports nothing of lrmctl.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import psutil

MARKER = "LRMCTL_RUN_ID"
TEMP = "{lrmctl-temp}"
"""Placeholder for the folder of temporary files in the values of environment variables."""
GRACE_PERIOD_S = 3.0
"""Seconds between asking processes to end and killing them."""

_PR_SET_CHILD_SUBREAPER = 36
_LONGEST_TEMP = 40  # Ray adds 65 characters to its temp folder for sockets, whose paths end at 107


def marked(marker: str) -> list[psutil.Process]:
    """All processes of this machine that carry the marker in their environment, except this one."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.pid != os.getpid() and process.environ().get(MARKER) == marker:
                found.append(process)
    return found


def end(processes: list[psutil.Process], grace: float = GRACE_PERIOD_S) -> None:
    """Ask processes to end, then kill those that still run after `grace` seconds."""
    for process in processes:
        with contextlib.suppress(psutil.Error):
            process.terminate()
    _, alive = psutil.wait_procs(processes, timeout=grace)
    for process in alive:
        with contextlib.suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(alive, timeout=grace)


def end_everything(marker: str) -> None:
    """End children, adopted and marked processes, in several rounds since new ones may appear while others die."""
    me = psutil.Process()
    for grace in (GRACE_PERIOD_S, 0.5, 0.0):
        processes = {*me.children(recursive=True), *marked(marker)}
        if not processes:
            return
        end(list(processes), grace)
        _reap()


def temp_dir(marker: str) -> str:
    """A new folder for temporary files with a path short enough for Ray's sockets."""
    base = tempfile.gettempdir()
    return tempfile.mkdtemp(prefix=f"lr{marker[:6]}", dir=base if len(base) <= _LONGEST_TEMP - 20 else "/tmp")


def save(temp: str, patterns: list[str], folder: Path) -> None:
    """Copy non-empty files below `temp` that match into `folder`."""
    for path in (p for pattern in patterns for p in Path(temp).glob(pattern)):
        with contextlib.suppress(OSError):
            if path.stat().st_size:
                shutil.copy(path, folder)


def _reap(trainer: int = -1) -> int | None:
    """Reap dead children; the wait status of the trainer if it is among them."""
    status = None
    with contextlib.suppress(ChildProcessError):
        while True:
            pid, code = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                break
            if pid == trainer:
                status = code
    return status


def _parent_gone(parent: int, timeout: float) -> bool:
    """Whether the pipe from lrmctl has closed (nothing is ever written to it), or lrmctl is no longer the parent."""
    ready, _, _ = select.select([0], [], [], timeout)
    return (bool(ready) and os.read(0, 1) == b"") or os.getppid() != parent


def _start(argv: list[str], log: str, cwd: str, env: dict[str, str]) -> subprocess.Popen[bytes]:
    with Path(log).open("ab", buffering=0) as out:
        try:
            return subprocess.Popen(
                argv, cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True
            )
        except OSError as error:
            out.write(f"{type(error).__name__}: {error}\n".encode())
            raise SystemExit(127) from None


def _watch(trainer: int, parent: int) -> int:
    """Wait for the trainer; its exit code, or 143 if the supervisor was stopped first."""
    asked: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda n, _frame: asked.append(n))
    while not asked:
        status = _reap(trainer)
        if status is not None:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code
        if _parent_gone(parent, 0.1):
            break
    return 143


def main() -> int:
    parent, split = os.getppid(), sys.argv.index("--")
    (marker, log, cwd, *keep), argv = sys.argv[1:split], sys.argv[split + 1 :]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    temp = temp_dir(marker)
    env = {k: v.replace(TEMP, temp) for k, v in os.environ.items()} | {MARKER: marker, "TMPDIR": temp}
    try:
        code = _watch(_start(argv, log, cwd, env).pid, parent)
        if code not in (0, 143):
            save(temp, keep, Path(log).parent)
        return code
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
        end_everything(marker)
        shutil.rmtree(temp, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
