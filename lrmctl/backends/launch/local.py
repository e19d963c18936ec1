"""Jobs of this machine: a supervised subprocess, of which nothing outlives lrmctl however either ends."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from lrmctl.backends.launch import supervisor
from lrmctl.backends.launch.base import POLL_INTERVAL_S, Launcher
from lrmctl.backends.launch.job import JobState, LaunchJob, Record


class Local(Launcher):
    """Subprocesses of this machine, one at a time. Their records are empty: they end with lrmctl."""

    poll_interval = POLL_INTERVAL_S

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._marker = ""

    def submit(self, job: LaunchJob) -> Record:
        self._marker = uuid.uuid4().hex
        self._process = _start(self._marker, job)
        return {}

    def state(self, record: Record) -> JobState:  # noqa: ARG002 (the supervisor ends what an earlier lrmctl started)
        if self._process is None:
            return JobState("gone")
        code = self._process.poll()
        return JobState("running") if code is None else JobState("failed" if code else "done", exit_code=code)

    def cancel(self, record: Record) -> None:  # noqa: ARG002
        """Let the supervisor clean up, also after a job that ended by itself."""
        if self._process is not None:
            _stop(self._process, self._marker)


class InRayJob(Local):
    """A subprocess of this process, which is itself a job of the Ray cluster that the trainer uses."""

    _temp: Path | None = None

    def submit(self, job: LaunchJob) -> Record:
        from lrmctl.backends.launch.ray import env_in_a_job

        self._temp = job.cwd / "temp"
        return super().submit(replace(job, env=env_in_a_job(job.env, self._temp)))

    def cancel(self, record: Record) -> None:
        super().cancel(record)
        if self._temp is not None:
            shutil.rmtree(self._temp, ignore_errors=True)


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
    """Run a command on this machine to completion; see `Launcher.run`.

    Args:
        env: variables added to this process's own.
        log: file that its output is appended to.
        keep: patterns of temporary files that are saved beside the log if the command fails.

    Raises:
        Exception: whatever `abort` returned.
    """
    return Local().run(LaunchJob(cwd.name, argv, env, cwd, log, keep), on_lines, abort, lambda _: None)


def _start(marker: str, job: LaunchJob) -> subprocess.Popen[bytes]:
    script = [sys.executable, "-P", str(Path(supervisor.__file__))]
    command = [*script, marker, str(job.log.absolute()), str(job.cwd), *job.keep, "--", *job.argv]
    return subprocess.Popen(
        command,
        env={**os.environ, **job.env},
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
