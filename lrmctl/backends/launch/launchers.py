"""The launcher that a recipe asks for: this machine, Ray, or Slurm."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from lrmctl._util.accelerators import IN_RAY_JOB
from lrmctl.backends.launch.base import Abort, Launcher, LaunchJob, OnLines, OnStarted, run


def launcher(section: Mapping[str, Any]) -> Launcher:
    """The launcher that a recipe's `launch:` section (as JSON) asks for; an empty section means this machine."""
    via = section.get("via", "local")
    if via == "ray" and os.environ.get(IN_RAY_JOB):
        return InRayJob()
    if via == "ray":
        from lrmctl.backends.launch.ray import RayJobs

        return RayJobs(section)
    if via == "slurm":
        from lrmctl.backends.launch.slurm import Slurm

        return Slurm(section)
    return Local()


class Local:
    """Subprocesses of this machine."""

    def check(self) -> None:
        """A subprocess can always be started."""

    def run(self, job: LaunchJob, on_lines: OnLines, abort: Abort, on_started: OnStarted) -> int:  # noqa: ARG002
        return run(job.argv, job.env, cwd=job.cwd, log=job.log, on_lines=on_lines, abort=abort, keep=job.keep)

    def is_running(self, started: Mapping[str, Any]) -> bool:  # noqa: ARG002 (the supervisor ends what lrmctl started)
        return False

    def stop_command(self, started: Mapping[str, Any]) -> str:  # noqa: ARG002
        return ""

    def preview(self, job: LaunchJob) -> str:  # noqa: ARG002
        return ""


class InRayJob(Local):
    """A subprocess of this process, which is itself a job of the Ray cluster that the trainer uses."""

    def run(self, job: LaunchJob, on_lines: OnLines, abort: Abort, on_started: OnStarted) -> int:
        from lrmctl.backends.launch.ray import env_in_a_job

        temp = job.cwd / "temp"
        try:
            return super().run(replace(job, env=env_in_a_job(job.env, temp)), on_lines, abort, on_started)
        finally:
            shutil.rmtree(temp, ignore_errors=True)
