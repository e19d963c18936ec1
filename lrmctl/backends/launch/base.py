"""Launchers run a trainer's command line to completion, on this machine or as a cluster job.

The trainer's output goes to a log file, which the launcher follows. No process is left behind, however the trainer or
lrmctl ends: on this machine a supervisor cleans up; a cluster job is stopped when lrmctl stops, unless lrmctl was
killed. This room knows no backend.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from lrmctl._util.tail import FileTail
from lrmctl.backends.launch import supervisor
from lrmctl.types import Plan

POLL_INTERVAL_S = 0.2
"""Seconds between two polls of the log and of `abort`."""


@dataclass(frozen=True)
class LaunchJob:
    """The process to launch.

    Attributes:
        env: variables added to the environment that the process starts in.
        log: file that its output is appended to.
        keep: patterns of temporary files that are saved beside the log on failure (this machine only).
        resources: `nodes`, and `gpus` on each of them.
    """

    name: str
    argv: Sequence[str]
    env: Mapping[str, str]
    cwd: Path
    log: Path
    keep: Sequence[str] = ()
    resources: Mapping[str, float] = field(default_factory=dict)
    kind: str = "rl"

    @classmethod
    def of(cls, plan: Plan, run_dir: Path, log: Path, keep: Sequence[str] = ()) -> LaunchJob:
        """The job of a plan in a run folder."""
        return cls(run_dir.name, plan.argv, plan.env, run_dir, log, keep, plan.resources, plan.kind)

    @property
    def nodes(self) -> int:
        return int(self.resources.get("nodes", 1))

    @property
    def gpus(self) -> int:
        """GPUs on each node."""
        return int(self.resources.get("gpus", 0))


OnLines = Callable[[list[str]], None]
Abort = Callable[[], Exception | None]
OnStarted = Callable[[Mapping[str, Any]], None]
"""Called with what is needed to find the job again (`via`, `id`, ...), as soon as it is known."""


class Launcher(Protocol):
    """A place that jobs can run on."""

    def check(self) -> None:
        """Raises LrmctlError if no job can be started there now."""
        ...

    def run(self, job: LaunchJob, on_lines: OnLines, abort: Abort, on_started: OnStarted) -> int:
        """Run a job until it ends; see `run` below."""
        ...

    def is_running(self, started: Mapping[str, Any]) -> bool:
        """Whether a job of an earlier launch, as reported to `on_started`, is still running."""
        ...

    def stop_command(self, started: Mapping[str, Any]) -> str:
        """The command with which a user stops such a job."""
        ...

    def preview(self, job: LaunchJob) -> str:
        """What would be submitted, for display; empty if it is the command line alone."""
        ...


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
    """Run a command to completion.

    Args:
        env: variables added to this process's own.
        log: file that its output is appended to.
        on_lines: called in this thread with new lines of output as they arrive, and once more at the end.
        abort: polled; an exception that it returns ends the run.
        keep: patterns of temporary files that are saved beside the log if the command fails.

    Returns:
        The exit code; 128 + n if signal n killed it.

    Raises:
        Exception: whatever `abort` returned.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    marker, tail = uuid.uuid4().hex, FileTail(log, from_end=True)
    process = _start(marker, argv, env, cwd, log, keep)
    try:
        while process.poll() is None:
            raise_if(abort())
            time.sleep(POLL_INTERVAL_S)
            on_lines(tail.lines())
        raise_if(abort())
    finally:
        _stop(process, marker)
    on_lines(tail.lines())
    return process.returncode


def raise_if(error: Exception | None) -> None:
    """Raise what `abort` returned, if anything."""
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
        start_new_session=True,  # Ctrl-C reaches lrmctl alone, which then shuts the rest down in order
    )


def _stop(process: subprocess.Popen[bytes], marker: str) -> None:
    """Close the pipe, wait for the supervisor to clean up, and finish its work, even after a second Ctrl-C."""
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
