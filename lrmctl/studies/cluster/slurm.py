"""Stages as batch jobs of Slurm: one script a stage, all submitted at once, each after those that it depends on.

A training on several nodes starts a Ray cluster in its own allocation. Study folder, models and the Python environment
must be at the same paths on every node.
"""

from __future__ import annotations

import contextlib
import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from lrmctl._util.accelerators import IN_RAY_JOB
from lrmctl.backends.launch import slurm
from lrmctl.backends.launch.job import SIGNALS, LaunchJob
from lrmctl.errors import BackendError, RecipeError
from lrmctl.studies.cluster.jobs import JobState, Record, StageJob, StageJobs

if TYPE_CHECKING:
    from lrmctl.studies.stages import StudyTask


_LATER = re.compile(r"limit|unable to contact|timed? ?out|temporar|connection|socket", re.IGNORECASE)
"""What sbatch says where the same job may be taken later: too many jobs of this user, or no answer."""


class SlurmStageJobs(StageJobs):
    """Jobs through sbatch, with `launch.options` for every stage; its queue decides what runs when."""

    poll_interval = 5.0
    keeps_order = True

    def check(self) -> None:
        self._cluster().check()

    def offers_ray(self, task: StudyTask) -> bool:
        return task.nodes > 1

    def new_record(self, job: StageJob) -> Record:
        return {"via": "slurm", "id": "", "name": f"{job.name}-{uuid.uuid4().hex[:8]}", "log": str(job.log)}

    def found(self, record: Record) -> Record:
        return record if record.get("id") else {**record, "id": slurm.number_of(str(record["name"]))}

    def placed(self, task: StudyTask) -> StudyTask:
        if task.nodes > 1 and not task.starts_cluster:
            raise RecipeError(
                f"{task.arm}: an SFT on {task.nodes} nodes cannot be a stage of a study on Slurm",
                "layout.nodes",
                "train it on one node, or by itself: lrmctl train RECIPE --launch slurm",
            )
        return super().placed(task)

    def submit(self, job: StageJob, record: Record) -> Record:
        given = self.launch.options
        if not job.gpus:
            given = {key: value for key, value in given.items() if key not in slurm.GPU_OPTIONS}
        cluster = self._cluster({**given, "job-name": record["name"], **_order(job)})
        return {**record, "id": cluster.submit(_launched(job))["id"]}

    def _cluster(self, options: Mapping[str, Any] = MappingProxyType({})) -> slurm.Slurm:
        return slurm.Slurm(setup=self.launch.setup, **options)

    def may_take_later(self, error: BackendError) -> bool:
        return bool(_LATER.search(error.what))

    def states(self, records: Sequence[Record]) -> list[JobState]:
        codes = [slurm.exit_code(Path(str(record["log"])), str(record["id"])) for record in records]
        unclear = [str(one["id"]) for one, code in zip(records, codes, strict=True) if code in (None, *SIGNALS)]
        known = slurm.states_of(unclear) if unclear else {}
        return [
            slurm.job_state(str(one["id"]), code, known.get(str(one["id"]), slurm.Known()))
            for one, code in zip(records, codes, strict=True)
        ]

    def stop(self, record: Record) -> None:
        self.stop_all([record])

    def stop_all(self, records: Sequence[Record]) -> None:
        numbers = []
        for record in records:
            with contextlib.suppress(BackendError):
                numbers += [str(number)] if (number := self.found(record).get("id")) else []
        if numbers:
            slurm.cancel(*numbers)

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
