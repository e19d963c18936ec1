"""Registers the stand-in judge and reward of smoke runs."""

from __future__ import annotations

from lrmctl.hooks.specs import Register, hookimpl


@hookimpl
def lrmctl_judges(register: Register) -> None:
    register(
        "stand-in", "lrmctl.smoke.stand_ins:StandInJudge", summary="smoke runs only: verdicts from a hash of the text"
    )


@hookimpl
def lrmctl_rewards(register: Register) -> None:
    register(
        "stand-in", "lrmctl.smoke.stand_ins:StandInReward", summary="smoke runs only: a number from a hash of the text"
    )
