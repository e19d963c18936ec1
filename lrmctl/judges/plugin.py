"""Registers the built-in judges."""

from __future__ import annotations

from lrmctl.hooks.specs import LazyFactory, Register, hookimpl
from lrmctl.judges.factory import model_judges


@hookimpl
def lrmctl_judges(register: Register) -> None:
    register(
        "refusal-phrases",
        "lrmctl.judges.refusal_phrases:RefusalPhrases",
        summary="smoke tests only: looks for refusal phrases in the answer",
    )
    register(
        "fitted",
        "lrmctl.judges.fitted.judge:FittedJudge",
        summary="a classifier fitted on labelled rows by `lrmctl judge fit`; needs no GPU",
    )
    register(
        "panel",
        "lrmctl.judges.panel.judge:Panel",
        summary="several judges as one: majority, mean or worst; needs what they need",
    )
    for name, facts in model_judges().items():
        register(name, LazyFactory("lrmctl.judges.factory:model_judge_factory", (name,)), summary=facts.summary)
