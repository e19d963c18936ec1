"""The base class of launchers: how a trainer's command line becomes a job, is followed to its end, and is found again.

The job's output goes to a log file, which the launcher follows. No job is left behind when lrmctl ends, unless it was
killed; the record of a job outlives lrmctl, so that a resumed run finds the job. This room knows no backend.
"""

from __future__ import annotations

import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace

from lrmctl._util.tail import FileTail
from lrmctl.backends.launch.job import EXIT_FILE, SIGNALS, JobState, LaunchJob, Record, exit_code
from lrmctl.errors import BackendError, LrmctlError

POLL_INTERVAL_S = 0.2
"""Seconds between two polls of the log and of `abort`."""
STATE_LINE = "lrmctl job: "
"""Begins a line, among those of the output, that says where the job stands."""
_EXIT_CODE_TIMEOUT_S = 30.0
"""Seconds to wait for a job's exit code on the shared disk after its cluster has forgotten the job."""
_UNANSWERED = (OSError, RuntimeError, LrmctlError)

OnLines = Callable[[list[str]], None]
Abort = Callable[[], Exception | None]
OnStarted = Callable[[Record], None]
"""Called with what is needed to find the job again, as soon as it is known."""


class Launcher(ABC):
    """A place that jobs run on. `submit`, `state` and `cancel` are all that one needs.

    Attributes:
        several_nodes: takes jobs on several nodes (`job.nodes`); recipes that need them are refused otherwise.
        poll_interval: seconds between two questions about a job.
        patience: seconds without an answer after which a run is given up.
    """

    several_nodes: bool = False
    poll_interval: float = 2.0
    patience: float = 300.0

    def check(self) -> None:
        """Raise an LrmctlError if no job can be started there now (no such program, no login, no answer). Called before
        anything is made. Does nothing by default."""

    def preview(self, job: LaunchJob) -> str:  # noqa: ARG002
        """What would be submitted, as text, for `--dry-run`; empty, as by default, if it is the command line alone.
        Submits nothing and writes nothing."""
        return ""

    def record(self, job: LaunchJob) -> Record:  # noqa: ARG002
        """The record of a job that is about to be submitted. Empty by default. A launcher that chooses the job's name
        (`job.id`) says it here, so that the job is found even if lrmctl is killed while it submits."""
        return {}

    @abstractmethod
    def submit(self, job: LaunchJob) -> Record:
        """Start a job and return at once: `{"id": ...}`, and whatever else `state` and `cancel` need, as JSON. Raises a
        BackendError if it is not taken."""

    @abstractmethod
    def state(self, record: Record) -> JobState:
        """Where a job stands; also of one that another process submitted. An OSError, RuntimeError or LrmctlError means
        that there is no answer now. A job whose script wrote its exit code has ended, whatever this says."""

    @abstractmethod
    def cancel(self, record: Record) -> None:
        """End a job and wait until it has; one that has ended is left alone."""

    def logs(self, record: Record, start: int) -> bytes:  # noqa: ARG002
        """A job's output from this byte on, for jobs that cannot write to `job.log`, and so not with `job.script()`.
        Empty by default."""
        return b""

    def stop_command(self, record: Record) -> str:  # noqa: ARG002
        """The command with which a user ends a job; empty by default."""
        return ""

    @contextmanager
    def follow(self, record: Record, job: LaunchJob) -> Iterator[Callable[[], None]]:
        """Brings output into `job.log` while a job runs, each time that it is called and at the end: what `logs` has by
        default. To be overridden by a launcher that is sent the output as it arrives."""
        written = 0

        def copy() -> None:
            nonlocal written
            with suppress(*_UNANSWERED):
                if data := self.logs(record, written):
                    with job.log.open("ab") as out:
                        out.write(data)
                    written += len(data)

        try:
            yield copy
        finally:
            copy()

    def where(self, record: Record) -> JobState:
        """Where a job stands: by the exit code that its script wrote, else by `state`. Raises what `state` raises."""
        code = exit_code(record.get(EXIT_FILE))
        if code is not None and code not in SIGNALS:
            return JobState("failed" if code else "done", exit_code=code)
        state = self.state(record)
        return replace(state, exit_code=code) if state.exit_code is None and not state.active else state

    def is_running(self, record: Record) -> bool:
        """Whether a job of an earlier launch is still there. Raises what `state` raises."""
        return self.where(record).active

    def run(self, job: LaunchJob, on_lines: OnLines, abort: Abort, on_started: OnStarted) -> int:
        """Run a job to completion.

        Args:
            on_lines: called in this thread with new lines of output as they arrive, and once more at the end. A line
                that begins with `STATE_LINE` tells where the job stands.
            abort: polled; an exception that it returns ends the job and is raised.
            on_started: called with the job's record.

        Returns:
            The exit code; 128 + n if signal n ended it.
        """
        job.log.parent.mkdir(parents=True, exist_ok=True)
        job.log.touch()
        tail = FileTail(job.log, from_end=True)
        record = self._submitted(job, on_started)
        with self.follow(record, job) as copy:
            try:
                state = self._ended(record, copy, lambda: on_lines(tail.lines()), on_lines, abort)
                raise_if(abort())
            finally:
                self.cancel(record)
        if state.state != "done" and state.reason:  # causes are looked for in the log
            with job.log.open("a", encoding="utf-8") as out:
                out.write(f"{state.reason}\n")
        on_lines(tail.lines())
        return state.exit_code if state.exit_code is not None else int(state.state != "done")

    def _submitted(self, job: LaunchJob, on_started: OnStarted) -> Record:
        if record := self.record(job):
            on_started(record)
        try:
            found = {**record, **self.submit(job)}
        except BaseException:
            if record:
                self.cancel(record)
            raise
        if not found:  # nobody but this process can find it
            return found
        found = {EXIT_FILE: str(job.exit_file), **found}
        on_started(found)
        return found

    def _ended(
        self, record: Record, copy: Callable[[], None], read: Callable[[], None], say: OnLines, abort: Abort
    ) -> JobState:
        """The final state of a job, waited for."""
        heard = time.monotonic()
        asked, gone, told = -math.inf, math.inf, ""
        while True:
            raise_if(abort())
            read()
            now, code = time.monotonic(), exit_code(record.get(EXIT_FILE))
            if now - asked >= self.poll_interval or code not in (None, *SIGNALS):
                asked = now
                copy()
                try:
                    state = self.where(record)
                except _UNANSWERED as error:
                    if code is not None and now - heard > 2 * _EXIT_CODE_TIMEOUT_S:
                        return JobState("failed", exit_code=code)
                    if now - heard > self.patience:
                        what = f"where the job runs does not answer any more: {error}"
                        raise BackendError(
                            what, f"job {record.get('id')}", "see that it does; --resume goes on"
                        ) from None
                else:
                    heard = now
                    gone = math.inf if state.active else min(gone, now)
                    known = state.state == "done" or state.exit_code is not None
                    if not state.active and (known or now - gone > _EXIT_CODE_TIMEOUT_S):
                        return state
                    if record and (line := state.reason or f"job {record.get('id')}: {state.state}") != told:
                        told = line
                        say([f"{STATE_LINE}{line}"])
            time.sleep(POLL_INTERVAL_S)


def raise_if(error: Exception | None) -> None:
    """Raise what `abort` returned, if anything."""
    if error is not None:
        raise error
