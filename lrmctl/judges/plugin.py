"""Registers the built-in judges."""

from __future__ import annotations

from lrmctl.hooks.specs import Register, hookimpl
from lrmctl.judges import catalogue
from lrmctl.judges.rules import RefusalPhrases


@hookimpl
def lrmctl_judges(register: Register) -> None:
    register("refusal-phrases", RefusalPhrases, summary="smoke tests only: looks for refusal phrases in the answer")
    _guards(register)
    _rubrics(register)


def _guards(register: Register) -> None:
    register("qwen3guard", catalogue.qwen3guard, summary="Qwen3Guard-Gen: safety and refusal, strict or loose")
    register("llama-guard-3", catalogue.llama_guard_3, summary="Llama-Guard-3-8B: safety, 14 categories or probability")
    register(
        "llama-guard-4", catalogue.llama_guard_4, summary="Llama-Guard-4-12B: safety, 14 categories or probability"
    )
    register("wildguard", catalogue.wildguard, summary="WildGuard: safety and refusal")
    register("shieldgemma", catalogue.shieldgemma, summary="ShieldGemma: probability by guideline, the worst counts")
    register(
        "harmbench",
        catalogue.harmbench,
        summary="HarmBench classifier: yes or no, on a behaviour alone or in its context",
    )
    register("yes-no", catalogue.yes_no, summary="your own question to any chat model: probability of Yes against No")


def _rubrics(register: Register) -> None:
    harm = "StrongREJECT score by any chat model, for harmful prompts only"
    register("strongreject", catalogue.strongreject, summary=harm)
    register("policy-rubric", catalogue.policy_rubric, summary="1 to 5 against a policy, by any chat model")
    refusal = "full compliance, full or partial refusal, by any chat model; nothing on safety"
    register("xstest-refusal", catalogue.xstest_refusal, summary=refusal)
    register(
        "jailbreakbench", catalogue.jailbreakbench, summary="safe or unsafe by any chat model, for harmful prompts"
    )
