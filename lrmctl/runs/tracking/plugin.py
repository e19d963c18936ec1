"""Registers lrmctl's own tracker."""

from __future__ import annotations

from lrmctl.hooks.specs import Register, hookimpl


@hookimpl
def lrmctl_trackers(register: Register) -> None:
    register(
        "wandb",
        "lrmctl.runs.tracking.wandb:WandbTracker",
        summary="metrics at Weights & Biases; used by itself where the environment enables it",
    )
