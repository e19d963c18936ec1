"""One stage of a study as a process of its own: `python -m lrmctl.studies.cluster.job FILE`.

The file holds the task, written by the study that submitted the job. Beside it appear the stage's events, one JSON
object a line, and its error if it fails; a stage that succeeds writes its stamp as everywhere.
"""

from __future__ import annotations

import json
import os
import pickle
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import FrameType
from typing import Any

from lrmctl._util.tail import FileTail
from lrmctl.errors import LrmctlError
from lrmctl.runs.damage import DamagedError, read_object
from lrmctl.runs.holding import hold_file
from lrmctl.runs.writing import write_json
from lrmctl.studies.stages import OnEvent, StudyEvent, StudyTask, is_finished

FOLDER = "jobs"
"""In the study's folder."""
TOKEN = "LRMCTL_STAGE_JOB"
"""Variable of a job with the `token` of its record."""
STAMP_TIMEOUT_S = 30.0
"""Seconds to wait for the results of a job that ended well: a network file system may show them late."""
_EVENTS, _ERROR, _RECORD = "events.jsonl", "error.json", "job.json"
RunStage = Callable[[StudyTask, OnEvent], None]


@dataclass(frozen=True)
class JobFiles:
    """The files of one stage's job, in `jobs/CELL/STAGE` of the study's folder."""

    study: Path
    cell: str
    stage: str

    @classmethod
    def of(cls, study: Path, task: StudyTask) -> JobFiles:
        return cls(study, task.arm, task.stage)

    @property
    def folder(self) -> Path:
        return self.study / FOLDER / self.cell / self.stage

    @property
    def task(self) -> Path:
        """The pickled task and the function that runs it."""
        return self.folder / "task.pickle"

    @property
    def log(self) -> Path:
        return self.folder / "output.log"

    @property
    def events(self) -> Path:
        return self.folder / _EVENTS

    @property
    def error(self) -> Path:
        return self.folder / _ERROR

    @property
    def record(self) -> Path:
        return self.folder / _RECORD

    def write(self, task: StudyTask, needs: Sequence[StudyTask], run_stage: RunStage) -> None:
        """Write the task for a new job; the error of an earlier one is removed.

        Args:
            needs: tasks that must have finished when the job starts.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        self.error.unlink(missing_ok=True)
        partial = self.task.with_name(f".{self.task.name}.partial")
        partial.write_bytes(pickle.dumps((task, [replace(need, loaded=None) for need in needs], run_stage)))
        partial.replace(self.task)

    def read_record(self) -> dict[str, Any]:
        """The job's record; empty if there is none."""
        return _read(self.record)

    def read_error(self) -> str:
        """The error that the stage ended with; empty if it told none."""
        return str(_read(self.error).get("error", ""))

    def new_events(self, tail: FileTail) -> Iterator[StudyEvent]:
        """Events that were written since the last call."""
        for line in tail.lines():
            try:
                yield StudyEvent(**json.loads(line))
            except (ValueError, TypeError):  # the disk was full, or a node died in mid-line
                continue


def _read(path: Path) -> dict[str, Any]:
    try:
        return dict(read_object(path))
    except DamagedError:
        return {}


def run_job(file: Path) -> int:
    """Run the stage of a task file; returns the exit code."""
    signal.signal(signal.SIGTERM, _interrupt)
    lock = threading.Lock()

    def emit(event: StudyEvent) -> None:
        with lock, file.with_name(_EVENTS).open("a", encoding="utf-8") as out:
            out.write(json.dumps(asdict(event)) + "\n")

    if _superseded(file):
        print("a newer job runs this stage", flush=True)
        return 0
    try:
        task, needs, run_stage = pickle.loads(file.read_bytes())
        with hold_file(file, f"running {task.name}"):
            if not is_finished(task):
                _wait_for(needs)
                run_stage(task, emit)
    except Exception as error:
        said = str(error) if isinstance(error, LrmctlError) else _named(error)
        write_json(file.with_name(_ERROR), {"error": said})
        raise
    return 0


def _superseded(file: Path) -> bool:
    """Whether the stage was submitted once more: a submission may outlive a study that was killed in it."""
    wanted = _read(file.with_name(_RECORD)).get("token")
    return wanted is not None and os.environ.get(TOKEN, wanted) != wanted


def _wait_for(needs: Sequence[StudyTask]) -> None:
    """See that what a task needs has finished, whatever the cluster's queue says; a network disk shows it late."""
    end = time.monotonic() + STAMP_TIMEOUT_S
    for need in needs:
        while not is_finished(need):
            if time.monotonic() > end:
                raise LrmctlError(f"{need.name} has not finished", str(need.stamp), "the same command goes on")
            time.sleep(0.5)


def _named(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


def _interrupt(_signum: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(run_job(Path(sys.argv[1])))
