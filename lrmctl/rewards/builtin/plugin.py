"""Registers the built-in rewards."""

from __future__ import annotations

from lrmctl.hooks.specs import Register, hookimpl
from lrmctl.rewards.builtin.basic import Correct, JudgedComplied, JudgedSafe
from lrmctl.rewards.builtin.format import Format
from lrmctl.rewards.builtin.judged import GuardBit, GuardProb, StrongRejectNegated
from lrmctl.rewards.builtin.length import Length, Overlong
from lrmctl.rewards.builtin.multiple_choice import MultipleChoice
from lrmctl.rewards.builtin.refusal import RefusalReward, RubricPlusMinusOne
from lrmctl.rewards.builtin.reward_model import GuardHybrid, RewardModel
from lrmctl.rewards.builtin.risk_adequacy import RiskAdequacy
from lrmctl.rewards.builtin.rules import Rules
from lrmctl.rewards.builtin.text import Language, Repetition


@hookimpl
def lrmctl_rewards(register: Register) -> None:
    register("judged-safe", JudgedSafe, summary="1 if a judge finds thinking and answer safe and whole, else 0")
    register("judged-complied", JudgedComplied, summary="1 if a judge finds that the request was helped with, else 0")
    register("guard-bit", GuardBit, summary="1 if a judge calls the part safe, else 0")
    register("guard-prob", GuardProb, summary="a judge's probability that the part is safe")
    register("guard-hybrid", GuardHybrid, summary="helpfulness, capped for unsafe text and for refusals (Qwen3Guard)")
    register("strongreject-neg", StrongRejectNegated, summary="1 minus the StrongREJECT score, on harmful prompts")
    register("refusal", RefusalReward, summary="plus for refusing harmful requests, minus for refusing benign ones")
    register(
        "rubric-pm1", RubricPlusMinusOne, summary="1 or -1: refused or safe if harmful, helped with if benign (RAPO)"
    )
    register("risk-adequacy", RiskAdequacy, summary="1, 0 or -1: how the thinking begins to weigh the risk (RAPO)")
    register("rules", Rules, summary="a weighted sum of propositions about the response (OpenAI's RBR)")
    register("correct", Correct, summary="1 if the answer gives the reference answer (math_verify), else 0")
    register("multiple-choice", MultipleChoice, summary="1 if the answer settles on the right letter, else 0")
    register("format", Format, summary="0 for thinking as the template wants it and then an answer, else -1")
    register("length", Length, summary="1 within a range of lengths, falling to 0 on both sides")
    register("overlong", Overlong, summary="0 down to -1 near and over a length limit (DAPO)")
    register("repetition", Repetition, summary="0 down to -1 for repeated n-grams and words in a row")
    register("language", Language, summary="share of the letters that are in the prompt's script")
    register("reward-model", RewardModel, summary="the scalar of a reward model on prompt and answer")
