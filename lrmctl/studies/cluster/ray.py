"""Stages as jobs of a running Ray cluster, through Ray's own job client, with the GPUs that each stage says.

A stage whose training starts actors of its own (RL) asks for no GPU itself: Ray gives them to its actors. Study folder,
models and the Python environment must be at the same paths on every node.
"""

from __future__ import annotations

import shlex
import uuid
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from lrmctl._util.accelerators import IN_RAY_JOB
from lrmctl.backends.launch.ray import RayJobs
from lrmctl.studies.cluster.jobs import JobState, Record, StageJob, StageJobs

if TYPE_CHECKING:
    from lrmctl.recipe.schema.sections import Launch
    from lrmctl.studies.stages import StudyTask


class RayStageJobs(StageJobs):
    """The jobs of the Ray cluster whose dashboard `launch.address` names."""

    def __init__(self, launch: Launch) -> None:
        super().__init__(launch)
        self._cluster = RayJobs(address=launch.address, **launch.options)

    def check(self) -> None:
        self._cluster.check()

    def gpus(self) -> int:
        return sum(int(node.get("GPU", 0)) for node in self._cluster.nodes())

    def _largest(self) -> int:
        """GPUs of the node that has most."""
        return max((int(node.get("GPU", 0)) for node in self._cluster.nodes()), default=0)

    def offers_ray(self, task: StudyTask) -> bool:  # noqa: ARG002 (any job of the cluster)
        return True

    def new_record(self, job: StageJob) -> Record:
        return {"via": "ray", "id": f"lrmctl-{job.name}-{uuid.uuid4().hex[:8]}", "address": self._cluster.address}

    def submit(self, job: StageJob, record: Record) -> Record:
        # its output goes to a file of the study, which outlives the cluster
        command = f"exec {shlex.join(job.argv)} >>{shlex.quote(str(job.log))} 2>&1"
        env = {**job.env, IN_RAY_JOB: "1"}
        # a driver needs a core as well: without any, Ray runs every job on the head node
        wanted: dict[str, Any] = {"entrypoint_num_cpus": 1}
        if job.gpus and not job.cluster and job.gpus <= self._largest():
            wanted["entrypoint_num_gpus"] = job.gpus  # more than a node has are taken by an evaluation's own actors
        self._cluster.submit_command(str(record["id"]), f"cd {shlex.quote(str(job.cwd))} && {command}", env, **wanted)
        return record

    def states(self, records: Sequence[Record]) -> list[JobState]:
        return [self._cluster.state(record) for record in records]

    def stop(self, record: Record) -> None:
        self._cluster.cancel(record)

    def stop_command(self, record: Record) -> str:
        return self._cluster.stop_command(record)
