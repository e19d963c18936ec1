"""Registers the built-in judges."""

from __future__ import annotations

from lrmctl.hooks.specs import Register, hookimpl
from lrmctl.judges.builtin import TEMPLATES
from lrmctl.judges.factory import ModelJudgeFactory, model_judges
from lrmctl.judges.refusal_phrases import RefusalPhrases


@hookimpl
def lrmctl_judges(register: Register) -> None:
    register("refusal-phrases", RefusalPhrases, summary="smoke tests only: looks for refusal phrases in the answer")
    for name, facts in model_judges().items():
        register(name, ModelJudgeFactory(TEMPLATES[name], facts), summary=facts.summary)
