"""Stages as jobs of a plugin's launcher, each submitted when what it needs has ended; `jobs:` of the study limits them.

Every stage runs on one node. Study folder, models and the Python environment must be at the same paths there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from lrmctl.backends.launch.job import EXIT_FILE, LaunchJob
from lrmctl.backends.launch.launchers import launcher
from lrmctl.errors import RecipeError
from lrmctl.studies.cluster.job import TOKEN
from lrmctl.studies.cluster.jobs import JobState, Record, StageJob, StageJobs

if TYPE_CHECKING:
    from lrmctl.recipe.schema.sections import Launch
    from lrmctl.studies.stages import StudyTask


class LauncherStageJobs(StageJobs):
    """The jobs of the launcher that `launch.via` names."""

    def __init__(self, launch: Launch) -> None:
        super().__init__(launch)
        self._launcher = launcher(launch.model_dump(mode="json"))
        self.poll_interval = self._launcher.poll_interval

    def check(self) -> None:
        self._launcher.check()

    def offers_ray(self, task: StudyTask) -> bool:  # noqa: ARG002 (an RL training starts a Ray of its own)
        return False

    def placed(self, task: StudyTask) -> StudyTask:
        if task.nodes > 1:
            what = f"{task.arm}: a training on {task.nodes} nodes cannot be a stage that {self.launch.via!r} launches"
            raise RecipeError(
                what, "layout.nodes", "train it on one node, or say `launch: {via: slurm}` or `{via: ray}`"
            )
        return super().placed(task)

    def new_record(self, job: StageJob) -> Record:
        launched = _launched(job)
        return {"via": self.launch.via, EXIT_FILE: str(launched.exit_file), **self._launcher.record(launched)}

    def submit(self, job: StageJob, record: Record) -> Record:
        return {**record, **self._launcher.submit(_launched(job))}

    def states(self, records: Sequence[Record]) -> list[JobState]:
        return [self._state(record) for record in records]

    def _state(self, record: Record) -> JobState:
        if record.get("via") != self.launch.via:  # the study was started elsewhere before
            return JobState("gone")
        state = self._launcher.where(record)
        if state.state != "failed" or state.reason:
            return state
        return JobState("failed", f"{self.launch.via} job {record['id']} ended with code {state.exit_code}")

    def stop(self, record: Record) -> None:
        self._launcher.cancel(record)

    def stop_command(self, record: Record) -> str:
        return self._launcher.stop_command(record)


def _launched(job: StageJob) -> LaunchJob:
    resources = {"nodes": job.nodes, "gpus": job.gpus}
    token = job.env[TOKEN][:8]  # the same at each call, so that the job is found by its id
    return LaunchJob(job.name, job.argv, job.env, job.cwd, job.log, (), resources, "sft", token)
