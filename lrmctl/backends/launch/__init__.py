"""Launchers: a trainer on this machine, as a job of Ray or of Slurm, or wherever a plugin starts it."""

from __future__ import annotations

from lrmctl.backends.launch.base import Launcher
from lrmctl.backends.launch.job import JobState, LaunchJob, Record
from lrmctl.backends.launch.launchers import launcher

__all__ = [
    "JobState",
    "LaunchJob",
    "Launcher",
    "Record",
    "launcher",
]
