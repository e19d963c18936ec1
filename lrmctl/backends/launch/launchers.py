"""The launcher that a recipe asks for: this machine, Ray, or Slurm."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lrmctl.backends.launch.base import Abort, Launcher, LaunchJob, OnLines, OnStarted, run


def launcher(section: Mapping[str, Any]) -> Launcher:
    """The launcher that a recipe's `launch:` section (as JSON) asks for; an empty section means this machine."""
    via = section.get("via", "local")
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
