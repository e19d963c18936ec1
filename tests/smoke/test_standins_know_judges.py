"""A smoke run loads no judge's model: each built-in judge that asks one is replaced."""

from __future__ import annotations

from lrmctl.hooks import registry
from lrmctl.smoke.replace_models import needs_a_model

RULES = {"refusal-phrases", "stand-in", "lab", "lab-blind", "lab-kind", "panel"}


def test_every_built_in_judge_but_the_rules_is_recognised_as_a_model():
    judges = {e.name for e in registry.names("judge") if e.distribution == registry.find("judge", "lab").distribution}
    assert {name for name in judges if not needs_a_model("judge", name)} == RULES
    assert len(judges) >= len(RULES) + 11
