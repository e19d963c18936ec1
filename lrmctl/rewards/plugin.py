"""Registers the built-in rewards."""

from __future__ import annotations

from lrmctl.hooks.specs import Register, hookimpl
from lrmctl.judges.standin import StandInReward
from lrmctl.rewards.builtin import Correct, Format, JudgedComplied, JudgedSafe
from lrmctl.rewards.helpful import GuardHybrid, RewardModel


@hookimpl
def lrmctl_rewards(register: Register) -> None:
    register("judged-safe", JudgedSafe, summary="1 if a judge finds thinking and answer safe and whole, else 0")
    register("judged-complied", JudgedComplied, summary="1 if a judge finds that the request was helped with, else 0")
    register("correct", Correct, summary="1 if the answer gives the reference answer (math_verify), else 0")
    register("format", Format, summary="0 for thinking closed once and then an answer, else -1")
    register("reward-model", RewardModel, summary="the scalar of a reward model on prompt and answer")
    register("guard-hybrid", GuardHybrid, summary="helpfulness, capped for unsafe text and for refusals (Qwen3Guard)")
    register("stand-in", StandInReward, summary="smoke runs only: a number from a hash of the text")
