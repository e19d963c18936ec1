"""One stage of a study as a process of its own: `python -m lrmctl.studies.cluster.job FILE`.

The file holds the task, written by the study that submitted the job. Beside it appear the stage's events, one JSON
object a line, and its error if it fails; a stage that succeeds writes its stamp as everywhere.
"""

from __future__ import annotations

import json
import pickle
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from lrmctl._util.tail import FileTail
from lrmctl.errors import LrmctlError
from lrmctl.runs.damage import DamagedError, read_object
from lrmctl.runs.holding import hold_file
from lrmctl.runs.writing import write_json
from lrmctl.studies.stages import OnEvent, StudyEvent, StudyTask

FOLDER = "jobs"
"""In the study's folder."""
_EVENTS, _ERROR = "events.jsonl", "error.json"
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
        return self.folder / "job.json"

    def write(self, task: StudyTask, run_stage: RunStage) -> None:
        """Write the task for a new job; the error of an earlier one is removed."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.error.unlink(missing_ok=True)
        partial = self.task.with_name(f".{self.task.name}.partial")
        partial.write_bytes(pickle.dumps((task, run_stage)))
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

    try:
        task, run_stage = pickle.loads(file.read_bytes())
        with hold_file(file, f"running {task.name}"):
            run_stage(task, emit)
    except Exception as error:
        said = str(error) if isinstance(error, LrmctlError) else _named(error)
        write_json(file.with_name(_ERROR), {"error": said})
        raise
    return 0


def _named(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


def _interrupt(_signum: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(run_job(Path(sys.argv[1])))
