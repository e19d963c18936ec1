"""Registers the built-in reasoning tasks; those of lm-evaluation-harness are `lmeval:NAME` and are not registered."""

from __future__ import annotations

from lrmctl.hooks.specs import LazyFactory, Register, hookimpl

_PUBLIC = {
    "math500": "competition mathematics, 7 subjects, 5 levels",
    "aime24": "AIME I and II of 2024; answers are integers up to 999",
    "aime25": "AIME I and II of 2025; answers are integers up to 999",
    "gsm8k": "grade-school word problems",
    "gsm8k_platinum": "GSM8K without its wrong and ambiguous problems",
    "gpqa_diamond": "graduate-level science, 4 choices",
    "mmlu_pro": "14 subjects, up to 10 choices; `categories` takes some",
}


@hookimpl
def lrmctl_reasoning_tasks(register: Register) -> None:
    for name, summary in _PUBLIC.items():
        register(name, LazyFactory("lrmctl.reasoning.builtin:public_task", (name,)), summary=summary)
    register("ifeval", "lrmctl.reasoning.builtin:ifeval", summary="instructions that a program can check")
    lab = "the lab's two-step word problems, generated"
    register("lab_arithmetic", "lrmctl.reasoning.builtin:lab_arithmetic", summary=lab)
