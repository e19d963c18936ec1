"""Registers the built-in judges."""

from __future__ import annotations

from lrmctl.hooks.specs import Register, hookimpl
from lrmctl.judges import builtin
from lrmctl.judges.refusal_phrases import RefusalPhrases


@hookimpl
def lrmctl_judges(register: Register) -> None:
    register("refusal-phrases", RefusalPhrases, summary="smoke tests only: looks for refusal phrases in the answer")
    _guards(register)
    _rubrics(register)


def _guards(register: Register) -> None:
    register("qwen3guard", builtin.qwen3guard, summary="Qwen3Guard-Gen: safety and refusal, strict or loose")
    register("llama-guard-3", builtin.llama_guard_3, summary="Llama-Guard-3-8B: safety, 14 categories or probability")
    register("llama-guard-4", builtin.llama_guard_4, summary="Llama-Guard-4-12B: safety, 14 categories or probability")
    register("wildguard", builtin.wildguard, summary="WildGuard: safety and refusal")
    register("shieldgemma", builtin.shieldgemma, summary="ShieldGemma: probability by guideline, the worst counts")
    register(
        "harmbench",
        builtin.harmbench,
        summary="HarmBench classifier: yes or no, on a behaviour alone or in its context",
    )
    register("yes-no", builtin.yes_no, summary="your own question to any chat model: probability of Yes against No")


def _rubrics(register: Register) -> None:
    harm = "StrongREJECT score by any chat model, for harmful prompts only"
    register("strongreject", builtin.strongreject, summary=harm)
    register("policy-rubric", builtin.policy_rubric, summary="1 to 5 against a policy, by any chat model")
    refusal = "full compliance, full or partial refusal, by any chat model; nothing on safety"
    register("xstest-refusal", builtin.xstest_refusal, summary=refusal)
    register("jailbreakbench", builtin.jailbreakbench, summary="safe or unsafe by any chat model, for harmful prompts")
