"""Runs the plan of a backend as a process: its files, its log, its launcher, and the record of its job."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from lrmctl.backends.launch.job import LaunchJob
from lrmctl.backends.launch.launchers import job_record, launcher
from lrmctl.runs.folder import RunFolder
from lrmctl.runs.writing import private_files
from lrmctl.types import Plan


@dataclass(frozen=True)
class EndedProcess:
    """A trainer's process that has ended.

    Attributes:
        exit_code: 128 + n if signal n killed it.
        log: file with its output.
    """

    exit_code: int
    log: Path


def run_plan(
    plan: Plan,
    run_dir: Path,
    on_lines: Callable[[list[str]], None],
    abort: Callable[[], Exception | None],
    *,
    keep: Sequence[str] = (),
) -> EndedProcess:
    """Write a plan's files into the run folder and run its command line, in that folder, until it ends.

    The output goes to `logs/attempt-N/output.log`. Secrets are deleted at the end, and no process is left behind.

    Args:
        on_lines: called in this thread with new lines of output as they arrive, and once more at the end.
        abort: polled; an exception that it returns ends the process and is raised.
        keep: patterns of temporary files that are saved beside the log if the command fails.

    Raises:
        Exception: whatever `abort` returned.
        LrmctlError: the launcher cannot start the job.
    """
    folder = RunFolder(run_dir)
    for name, text in plan.files.items():
        file = folder.path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    with private_files(folder.path, plan.secrets):
        log = folder.new_attempt() / "output.log"
        job = LaunchJob.of(plan, folder.path, log, keep)
        try:
            code = launcher(plan.launch).run(
                job, on_lines, abort, lambda found: folder.set_status("running", job=job_record(plan.launch, found))
            )
        finally:
            _forget_job(folder)
    if code:
        with suppress(OSError):  # a full disk: the original cause matters more
            folder.set_status("running", exit_code=code)
    return EndedProcess(code, log)


def _forget_job(folder: RunFolder) -> None:
    """Remove the record of the job, which the launcher has made sure is over."""
    if folder.status().get("job"):
        with suppress(OSError):  # a full disk; the job's own error matters more
            folder.set_status("running", job={})
