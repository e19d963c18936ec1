"""A cluster of this machine for a study's stages: every job is a process of its own, and outlives who started it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Sequence
from pathlib import Path

from lrmctl.errors import BackendError
from lrmctl.recipe.schema.sections import Launch
from lrmctl.studies.cluster.jobs import JobState, Record, StageJob, StageJobs
from lrmctl.studies.stages import StudyTask


class FakeCluster(StageJobs):
    """Jobs as processes.

    Attributes:
        submitted: every job, in order.
        most: GPUs that were asked for at the same time at most.
        silent: questions that it does not answer.
    """

    poll_interval = 0.05

    def __init__(self, gpus: int | None = 4) -> None:
        super().__init__(Launch(via="ray", address="http://head:8265", reward_host="reward"))
        self._gpus = gpus
        self.submitted: list[StageJob] = []
        self.silent = 0
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def check(self) -> None:
        """It always answers."""

    def gpus(self) -> int | None:
        return self._gpus

    def offers_ray(self, task: StudyTask) -> bool:
        del task
        return True

    def new_record(self, job: StageJob) -> Record:
        return {"id": f"{job.name}-{uuid.uuid4().hex[:6]}", "pid": 0, "exit": str(job.log.with_name("exit"))}

    def submit(self, job: StageJob, record: Record) -> Record:
        self.submitted.append(job)
        code = Path(record["exit"])
        code.unlink(missing_ok=True)
        argv = ["bash", "-c", f'"$@" >>{job.log} 2>&1; echo $? >{code}', "job", *job.argv]
        process = subprocess.Popen(
            argv, env={**os.environ, **job.env, "PYTHONPATH": os.pathsep.join(sys.path)}, start_new_session=True
        )
        self._processes[record["id"]] = process
        return {**record, "pid": process.pid}

    def states(self, records: Sequence[Record]) -> list[JobState]:
        if self.silent:
            self.silent -= 1
            raise BackendError("no answer")
        return [self._state(record) for record in records]

    def _state(self, record: Record) -> JobState:
        code = Path(record["exit"])
        if code.exists() and (text := code.read_text().strip()):
            return JobState("failed" if int(text) else "done", f"it ended with {text}")
        if process := self._processes.get(record["id"]):
            process.poll()
        return JobState("running" if record["pid"] and Path(f"/proc/{record['pid']}").exists() else "gone")

    def stop(self, record: Record) -> None:
        if self._state(record).active:
            os.killpg(record["pid"], signal.SIGTERM)

    def stop_command(self, record: Record) -> str:
        return f"kill {record['pid']}"
