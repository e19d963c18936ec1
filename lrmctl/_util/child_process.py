"""A Python process that runs one function of ours with a pipe, and dies with its parent however that dies.

Not `multiprocessing`: that would import the caller's main module again, which a script or a notebook may not survive,
and does not notice a killed parent.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

# the search path comes first, since everything else is found through it
_BOOT = (
    "import sys, json; sys.path[:] = json.loads(sys.argv[2]); "
    "from lrmctl._util.child_process import main; main(sys.argv[3:])"
)
_PR_SET_PDEATHSIG = 1


class ChildProcess:
    """A running process and this end of its pipe.

    Args:
        title: its name in `ps`.
        main: `module:function`, imported there and not here; receives `argument`, its end of the pipe, and the sockets.
        argument: any picklable value.
        sockets: duplicated into the process.
        log: file that its stdout and stderr are appended to; this process's stderr by default.
        env: environment variables to set in it, besides this process's own.
        watched: the kernel kills it with its parent, on Linux: when the thread that created it ends, so create it in
            one that lives on. Otherwise its function has to notice the closed pipe.
    """

    def __init__(
        self,
        title: str,
        main: str,
        argument: Any,
        *,
        sockets: Sequence[socket.socket] = (),
        log: Path | None = None,
        env: Mapping[str, str] | None = None,
        watched: bool = True,
    ) -> None:
        ours, theirs = socket.socketpair()
        files = [theirs.fileno(), *(s.fileno() for s in sockets)]
        words = [
            sys.executable,
            "-c",
            _BOOT,
            title,
            json.dumps(sys.path),
            str(os.getpid() if watched else 0),
            *map(str, files),
        ]
        with theirs, _output(log) as output:
            # a session of its own: the parent handles Ctrl-C
            self.process = subprocess.Popen(
                words,
                pass_fds=files,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                env={**os.environ, **(env or {})},
            )
        self.pipe = Connection(ours.detach())
        with suppress(OSError):  # already dead; the reader of the pipe will notice
            self.pipe.send((main, argument))

    def kill(self) -> None:
        """Kill it and everything it has started, at once."""
        with suppress(OSError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def end(self, patience: float) -> int:
        """Wait at most `patience` seconds for it to end, then kill it. Returns its exit code."""
        try:
            return self.process.wait(patience)
        except subprocess.TimeoutExpired:
            self.kill()
            return self.process.returncode

    def close(self) -> None:
        with suppress(OSError):
            self.pipe.close()


def how_it_ended(code: int | None) -> str:
    """An exit code as text."""
    if code is None:
        return "ended"
    if code >= 0:
        return f"ended with exit code {code}"
    with suppress(ValueError):
        return f"was killed by {signal.Signals(-code).name}"
    return f"was killed by signal {-code}"


def main(words: Sequence[str]) -> None:
    """The entry point of the process: arguments are the parent's id (0: not watched) and the file descriptors of pipe
    and sockets."""
    parent, *files = map(int, words)
    if parent:
        _die_with(parent)
    for file in files:
        os.set_inheritable(file, False)  # or a process that a reward starts would keep the pipe open
    pipe = Connection(files[0])
    try:
        function, argument = pipe.recv()
    except EOFError:
        return
    module, _, name = function.partition(":")
    getattr(import_module(module), name)(argument, pipe, [socket.socket(fileno=file) for file in files[1:]])


def _output(log: Path | None) -> Any:
    if log is None:
        return os.fdopen(os.dup(2), "ab", closefd=True)
    log.parent.mkdir(parents=True, exist_ok=True)
    return log.open("ab")


def _die_with(parent: int) -> None:
    """Have the kernel kill this process when its parent dies; elsewhere the closed pipe has to suffice."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)
