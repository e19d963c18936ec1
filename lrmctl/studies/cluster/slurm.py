"""Stages as batch jobs of Slurm: one script a stage, all submitted at once, each after those that it depends on.

A training on several nodes starts a Ray cluster in its own allocation. Study folder, models and the Python environment
must be at the same paths on every node.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from lrmctl.backends.launch import slurm
from lrmctl.backends.launch.base import LaunchJob
from lrmctl.backends.launch.launchers import IN_RAY_JOB
from lrmctl.studies.cluster.jobs import JobState, Record, StageJob, StageJobs

if TYPE_CHECKING:
    from lrmctl.studies.stages import StudyTask


class SlurmStageJobs(StageJobs):
    """Jobs through sbatch, with `launch.options` for every stage; its queue decides what runs when."""

    poll_interval = 5.0
    keeps_order = True

    def check(self) -> None:
        slurm.Slurm(self.launch.model_dump(mode="json")).check()

    def offers_ray(self, task: StudyTask) -> bool:
        return task.nodes > 1

    def new_record(self, job: StageJob) -> Record:
        return {"via": "slurm", "id": "", "name": f"{job.name}-{uuid.uuid4().hex[:8]}", "log": str(job.log)}

    def found(self, record: Record) -> Record:
        return record if record.get("id") else {**record, "id": slurm.number_of(str(record.get("name", "")))}

    def submit(self, job: StageJob, record: Record) -> Record:
        order = _order(job)
        options = {**self.launch.options, "job-name": record["name"], **order}
        section = {"options": options, "setup": self.launch.setup}
        return {**record, "id": slurm.Slurm(section).submit(_launched(job))}

    def states(self, records: Sequence[Record]) -> list[JobState]:
        return [_state(record) for record in records]

    def stop(self, record: Record) -> None:
        if record.get("id"):
            slurm.cancel(str(record["id"]))

    def stop_command(self, record: Record) -> str:
        return f"scancel {record['id']}"


def _order(job: StageJob) -> dict[str, str | None]:
    """The sbatch options that make a job wait for others."""
    kinds = {"afterok": job.after, "afterany": job.afterwards}
    waits = [":".join((kind, *(str(one["id"]) for one in records))) for kind, records in kinds.items() if records]
    return {"dependency": ",".join(waits), "kill-on-invalid-dep": "yes"} if waits else {}


def _launched(job: StageJob) -> LaunchJob:
    several = job.cluster and job.nodes > 1
    resources = {"nodes": job.nodes, "gpus": job.gpus}
    launched = LaunchJob(job.name, job.argv, job.env, job.cwd, job.log, (), resources, "rl" if several else "sft")
    return replace(launched, env={**job.env, IN_RAY_JOB: "1"}) if several else launched


def _state(record: Record) -> JobState:
    number, log = str(record["id"]), Path(str(record["log"]))
    code = slurm.exit_code(log)
    if code is not None:
        return JobState("failed" if code else "done", f"Slurm job {number} ended with code {code}")
    state = slurm.state_of(number)
    if state in slurm.ACTIVE_STATES:
        return JobState("waiting" if state == "PENDING" else "running")
    if state == "COMPLETED":
        return JobState("done")
    return JobState("failed" if state else "gone", f"Slurm job {number} ended as {state or 'unknown to Slurm'}")
