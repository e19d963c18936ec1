"""Registers the built-in rewards."""

from __future__ import annotations

from lrmctl.hooks.specs import Register, hookimpl

_HERE = "lrmctl.rewards.builtin"


@hookimpl
def lrmctl_rewards(register: Register) -> None:
    register(
        "judged-safe",
        f"{_HERE}.basic:JudgedSafe",
        summary="1 if a judge finds thinking and answer safe and whole, else 0",
    )
    register(
        "judged-complied",
        f"{_HERE}.basic:JudgedComplied",
        summary="1 if a judge finds that the request was helped with, else 0",
    )
    register("guard-bit", f"{_HERE}.judged:GuardBit", summary="1 if a judge calls the part safe, else 0")
    register("guard-prob", f"{_HERE}.judged:GuardProb", summary="a judge's probability that the part is safe")
    register(
        "guard-hybrid",
        f"{_HERE}.reward_model:GuardHybrid",
        summary="helpfulness, capped for unsafe text and for refusals (Qwen3Guard)",
    )
    register(
        "strongreject-neg",
        f"{_HERE}.judged:StrongRejectNegated",
        summary="1 minus the StrongREJECT score, on harmful prompts",
    )
    register(
        "refusal",
        f"{_HERE}.refusal:RefusalReward",
        summary="plus for refusing harmful requests, minus for refusing benign ones",
    )
    register(
        "rubric-pm1",
        f"{_HERE}.refusal:RubricPlusMinusOne",
        summary="1 or -1: refused or safe if harmful, helped with if benign (RAPO)",
    )
    register(
        "response-policy",
        f"{_HERE}.response_policy:ResponsePolicy",
        summary="1 if the answer is of a kind that the prompt allows: comply, refuse, help line, ...",
    )
    register(
        "risk-adequacy",
        f"{_HERE}.risk_adequacy:RiskAdequacy",
        summary="1, 0 or -1: how the thinking begins to weigh the risk (RAPO)",
    )
    register(
        "rules", f"{_HERE}.rules:Rules", summary="a weighted sum of propositions about the response (OpenAI's RBR)"
    )
    register(
        "correct", f"{_HERE}.basic:Correct", summary="1 if the answer gives the reference answer (math_verify), else 0"
    )
    register(
        "multiple-choice",
        f"{_HERE}.multiple_choice:MultipleChoice",
        summary="1 if the answer settles on the right letter, else 0",
    )
    register(
        "format",
        f"{_HERE}.format:Format",
        summary="0 for thinking as the template wants it and then an answer, else -1",
    )
    register("length", f"{_HERE}.length:Length", summary="1 within a range of lengths, falling to 0 on both sides")
    register("overlong", f"{_HERE}.length:Overlong", summary="0 down to -1 near and over a length limit (DAPO)")
    register("repetition", f"{_HERE}.text:Repetition", summary="0 down to -1 for repeated n-grams and words in a row")
    register("language", f"{_HERE}.text:Language", summary="share of the letters that are in the prompt's script")
    register(
        "reward-model", f"{_HERE}.reward_model:RewardModel", summary="the scalar of a reward model on prompt and answer"
    )
    register(
        "pairwise",
        f"{_HERE}.pairwise:Pairwise",
        summary="share of the prompt's other samples that a response beats, by a judge model or a reward",
    )
    register(
        "proxy-solves",
        f"{_HERE}.helper:ProxySolves",
        summary="1 if a frozen model solves the prompt with what was written as a hint, else 0 (A2D, after a note)",
    )
    register(
        "likelihood",
        f"{_HERE}.helper:Likelihood",
        summary="mean log-probability per token under a student, of a rewritten demonstration (after DART)",
    )
    register("ranking", f"{_HERE}.group:Ranking", summary="rank of another reward among the prompt's samples, 0 to 1")
    register("diversity", f"{_HERE}.group:Diversity", summary="how much a response differs from the prompt's others")
    register(
        "relative-helpfulness",
        f"{_HERE}.group:RelativeHelpfulness",
        summary="helpfulness above the mean of the prompt's samples, 0 for refusals (AlphaAlign, after a note)",
    )
