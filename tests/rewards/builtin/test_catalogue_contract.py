"""Every built-in reward keeps the contract, says what it is, and can be tried without a model."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest
from rubric_server import serving
from scripted_judge import install

from lrmctl.hooks import registry
from lrmctl.rewards.base import make_reward
from lrmctl.smoke import replace_models
from lrmctl.smoke.stand_ins import NAME
from lrmctl.testing.checks import check_reward, sample_traces

SCRIPTED = {"judge": "scripted"}
OPTIONS = {
    "judged-safe": {**SCRIPTED, "partial": 0.3},
    "judged-complied": SCRIPTED,
    "guard-bit": SCRIPTED,
    "guard-prob": {**SCRIPTED, "thinking": "optional"},
    "guard-hybrid": {**SCRIPTED, "helpful": "length", "thinking": "optional"},
    "strongreject-neg": SCRIPTED,
    "refusal": SCRIPTED,
    "rubric-pm1": SCRIPTED,
    "response-policy": {**SCRIPTED, "default": {"harmful": ["refuse"]}, "partial": {"help-line": 0.5}},
    "correct": {},
    "multiple-choice": {},
    "format": {"thinking": "optional", "bonus": 0.5},
    "length": {"low": 5, "high": 10},
    "overlong": {"max_length": 100, "cache": 20},
    "repetition": {"penalty": 2.0},
    "language": {},
    "rules": {"rules": [{"feature": "apology", "weight": 1}, {"feature": "long", "weight": -1}]},
    "pairwise": {"reward": "length", "reward_options": {"low": 5, "high": 10}},
    "ranking": {"reward": "length", "reward_options": {"low": 5, "high": 10}},
    "diversity": {},
    "relative-helpfulness": {**SCRIPTED, "helpful": "length", "thinking": "optional"},
    "stand-in": {},
}
"""Options with which each can be tried without a model; those that need one are below or have tests of their own."""
WITH_MODEL = {"reward-model", "risk-adequacy", "proxy-solves", "likelihood"}
BUILT_IN = [e.name for e in registry.names("reward") if e.distribution == "lrmctl"]
JUDGED = [name for name, options in OPTIONS.items() if "judge" in options]


@pytest.fixture(autouse=True)
def scripted(tmp_path_factory, monkeypatch):
    install(tmp_path_factory.mktemp("site"), monkeypatch)


def traces():
    """The contract's own, each with what the scripted judge says of it."""
    from dataclasses import replace

    sayings = ({"safe": True, "refused": True, "p_unsafe": 0.25}, {"safe": False, "refused": False, "p_unsafe": 0.75})
    sayings += ({"error": "the judge is down"}, {"malformed": True})  # type: ignore[assignment]
    return [
        replace(trace, prompt=replace(trace.prompt, meta={"says": says}))
        for says in sayings
        for trace in sample_traces()
    ]


def test_every_built_in_reward_is_tried():
    assert set(OPTIONS) | WITH_MODEL == set(BUILT_IN)


@pytest.mark.parametrize("name", OPTIONS)
def test_the_contract_is_kept(name):
    check_reward(make_reward(name, OPTIONS[name]), traces() if name in JUDGED else None)


def test_rewards_that_ask_a_model_keep_the_contract():
    with serving(
        lambda question: "Analysis: yes\nRisk: 1" if "first paragraph" in question else {"Yes": 0.9}
    ) as engine:
        served = {"model": "judge", "engine": engine}
        check_reward(make_reward("risk-adequacy", served))
        check_reward(make_reward("rules", {"rules": [{"name": "a", "ask": "It is so.", "weight": 1}], **served}))
        check_reward(make_reward("pairwise", served))


@pytest.mark.parametrize("name", JUDGED)
def test_a_trace_in_bad_form_never_beats_the_same_trace_in_good_form(name):
    """Whatever the judge says: cutting an answer short must not pay."""
    from dataclasses import replace

    for trace in traces():
        good = replace(
            trace, thinking="So.", answer="An answer.", thinking_state="closed", irregular=(), finish_reason="stop"
        )
        cut = replace(good, finish_reason="length")
        values = [make_reward(name, OPTIONS[name]).score([t], "whole")[0].value for t in (good, cut)]
        if None not in values:
            assert values[1] <= values[0]


@pytest.mark.parametrize("name", BUILT_IN)
def test_every_reward_says_its_formula_range_and_source(name):
    text = inspect.getdoc(registry.find("reward", name).factory)
    assert re.search(r"^Formula\b", text, re.M), name
    assert re.search(r"^Range: ", text, re.M), name
    assert re.search(r"^Source: ", text, re.M), name


@pytest.mark.parametrize("name", BUILT_IN)
def test_every_option_is_in_the_docstring(name):
    factory = registry.find("reward", name).factory
    text = (inspect.getdoc(factory) or "").partition("Args:")[2]
    options = list(inspect.signature(factory).parameters)
    assert [option for option in options if not re.search(rf"^\s*[\w, ]*\b{option}\b[\w, ]*:", text, re.M)] == []


@pytest.mark.parametrize("name", BUILT_IN)
def test_a_range_is_there_and_ordered(name):
    options = OPTIONS.get(name, {"model": "m"})
    low, high = make_reward(name, options).range
    assert low <= high
    least, most = registry.find("reward", name).factory.range  # what the list shows: that of the defaults
    assert least <= most


def test_models_are_stood_in_for_in_a_smoke_run():
    """Rewards with a model of their own as a whole; others in the judge, even where the recipe leaves it to default."""
    for name in ("risk-adequacy", "rules", "reward-model"):
        assert replace_models.component({"name": None, "use": name, "options": {}})[0]["use"] == NAME
    for name, options in (
        ("strongreject-neg", {}),
        ("response-policy", {"default": "comply"}),
        ("guard-prob", {"judge": "llama-guard-3"}),
    ):
        replaced, told = replace_models.component({"name": None, "use": name, "options": options})
        assert (replaced["use"], replaced["options"]["judge"]) == (name, NAME)
        assert told
        scores = make_reward(name, replaced["options"]).score(sample_traces(), "answer")
        assert not [score.error for score in scores if score.failed]


def test_the_page_of_the_catalogue_has_every_reward():
    page = Path(__file__).parents[3] / "docs" / "reward-catalogue.md"
    rows = set(re.findall(r"^\| `([\w-]+)` \|", page.read_text().partition("## Notes")[0], re.M))
    assert rows == set(BUILT_IN)
