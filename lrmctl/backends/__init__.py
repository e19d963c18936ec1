"""Training backends: a recipe becomes a plan, and a plan becomes a process."""

from __future__ import annotations

from lrmctl.backends.base import REWARD_URL, Backend, Checkpoint, Progress, TrainJob, make_backend, with_reward_url

__all__ = [
    "REWARD_URL",
    "Backend",
    "Checkpoint",
    "Progress",
    "TrainJob",
    "make_backend",
    "with_reward_url",
]
