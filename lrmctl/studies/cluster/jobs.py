"""What a cluster has to offer so that a study's stages can be its jobs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from lrmctl.backends.launch.job import JobState, Record

if TYPE_CHECKING:
    from lrmctl.errors import BackendError
    from lrmctl.recipe.schema.sections import Launch
    from lrmctl.studies.stages import StudyTask

__all__ = ["JobState", "Record", "StageJob", "StageJobs"]


@dataclass(frozen=True)
class StageJob:
    """One stage, as a command.

    Attributes:
        name: for people; letters, digits, dots and dashes.
        argv: the command, the same on every node.
        env: variables added to those of the cluster.
        cwd: the study's folder.
        log: file for the output.
        nodes: that it needs at the same time.
        gpus: on each of them; 0 for none.
        cluster: its training starts processes on several GPUs or nodes by itself, through Ray.
        after: records of jobs that must have succeeded before it starts, for clusters that keep an order.
        afterwards: records of jobs that must have ended.
    """

    name: str
    argv: Sequence[str]
    env: Mapping[str, str]
    cwd: Path
    log: Path
    nodes: int = 1
    gpus: int = 0
    cluster: bool = False
    after: Sequence[Record] = field(default=())
    afterwards: Sequence[Record] = field(default=())


class StageJobs(ABC):
    """The jobs of one cluster.

    Args:
        launch: the study's `launch:` section.
    """

    def __init__(self, launch: Launch) -> None:
        self.launch = launch

    poll_interval: float = 2.0
    """Seconds between two questions about jobs."""
    keeps_order: bool = False
    """Whether jobs can be submitted before what they need has ended."""

    @abstractmethod
    def check(self) -> None:
        """Raises LrmctlError if no job can be started there now."""

    def gpus(self) -> int | None:
        """GPUs of the cluster, so that no more are asked for at a time; None if jobs wait in a queue of its own."""
        return None

    def placed(self, task: StudyTask) -> StudyTask:
        """The task with a training that is launched inside its job, whatever its recipe says."""
        if task.loaded is None:
            return task
        via = "ray" if task.starts_cluster and self.offers_ray(task) else "local"
        launch = {**self.launch.model_dump(mode="json"), "via": via, "address": None, "options": {}, "setup": []}
        return replace(task, loaded=task.loaded.override({"launch": launch}, "the study's launch"))

    @abstractmethod
    def offers_ray(self, task: StudyTask) -> bool:
        """Whether a job of this task runs in a Ray cluster that its training can use."""

    @abstractmethod
    def new_record(self, job: StageJob) -> Record:
        """How the job will be found; written to disk before `submit`, so that none is started twice."""

    def found(self, record: Record) -> Record:
        """A record that was written before its job was submitted, completed if the cluster knows that job.

        Raises:
            OSError, BackendError: the cluster does not answer now.
        """
        return record

    @abstractmethod
    def submit(self, job: StageJob, record: Record) -> Record:
        """Start a job; returns the record with what is known now.

        Raises:
            BackendError: the cluster does not take it.
        """

    def may_take_later(self, error: BackendError) -> bool:  # noqa: ARG002
        """Whether a submission that failed in this way may succeed later, e.g. when other jobs have ended."""
        return False

    @abstractmethod
    def states(self, records: Sequence[Record]) -> list[JobState]:
        """Where jobs stand.

        Raises:
            OSError, BackendError: the cluster does not answer now.
        """

    @abstractmethod
    def stop(self, record: Record) -> None:
        """Stop a job that is still running; one that has ended is left alone."""

    def stop_all(self, records: Sequence[Record]) -> None:
        """Stop several jobs."""
        for record in records:
            self.stop(record)

    @abstractmethod
    def stop_command(self, record: Record) -> str:
        """The command with which a user stops a job."""
