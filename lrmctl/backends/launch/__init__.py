"""Launchers: a trainer on this machine, as a job of Ray, or as a job of Slurm."""

from __future__ import annotations

from lrmctl.backends.launch.base import Launcher, LaunchJob
from lrmctl.backends.launch.launchers import launcher

__all__ = [
    "LaunchJob",
    "Launcher",
    "launcher",
]
