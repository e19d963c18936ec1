"""The reward for answers of a kind that the prompt allows."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from rubric_server import serving
from scripted_judge import install, said

from lrmctl.errors import RecipeError
from lrmctl.hooks import registry
from lrmctl.smoke.stand_ins import StandInJudge
from lrmctl.types import RESPONSE_KINDS, Prompt, Score, Trace


@pytest.fixture(autouse=True)
def scripted(tmp_path_factory, monkeypatch):
    install(tmp_path_factory.mktemp("site"), monkeypatch)


def scored(
    kind: str, policy: object = None, part: str = "answer", says: dict | None = None, **options: object
) -> Score:
    trace = said("harmful", says or {"labels": [kind]})
    if policy is not None:
        trace = replace(trace, prompt=replace(trace.prompt, meta={**trace.prompt.meta, "response_policy": policy}))
    (score,) = registry.make("reward", "response-policy", judge="scripted", **options).score([trace], part)
    return score


@pytest.mark.parametrize("kind", RESPONSE_KINDS)
def test_a_kind_that_the_prompt_allows_is_one_and_another_is_its_value(kind):
    assert scored(kind, [kind]).value == 1.0
    others = [other for other in RESPONSE_KINDS if other != kind]
    assert scored(kind, others).value == 0.0
    assert scored(kind, others, partial={kind: 0.25}).value == 0.25
    assert scored(kind, [kind], partial={kind: 0.25}).value == 1.0
    assert scored(kind, [kind]).logs == {kind: 1.0}


def test_a_prompt_without_a_policy_has_no_score_unless_there_is_a_default():
    assert scored("refuse").missing
    assert scored("refuse", default={"benign": ["comply"]}).missing
    assert scored("refuse", default={"harmful": ["refuse"]}).value == 1.0
    assert scored("refuse", default="comply, help-line").value == 0.0
    assert scored("refuse", ["refuse"], default=["comply"]).value == 1.0  # the prompt's own comes first


@pytest.mark.parametrize(
    "form", [{"finish_reason": "length"}, {"answer": " "}, {"thinking_state": "unclosed", "answer": ""}]
)
def test_bad_form_is_nought_and_no_judge_is_asked(form):
    trace = said("harmful", {"error": "asked"}, **form)
    (score,) = registry.make("reward", "response-policy", judge="scripted", default="refuse").score([trace], "answer")
    assert score == Score(0.0)


@pytest.mark.parametrize(
    ("says", "value", "error"),
    [
        ({"error": "down"}, None, "down"),
        ({"refused": True, "safe": True}, None, "names no kind of response"),
        ({"labels": ["refuse", "comply"]}, None, "names several kinds of response: refuse, comply"),
        ({"malformed": True}, 0.0, ""),
        ({"safe": False, "labels": ["refuse"]}, 0.0, ""),
    ],
)
def test_what_a_judge_does_not_say_is_a_failure_and_what_it_calls_unsafe_is_nought(says, value, error):
    score = scored("", ["refuse"], says=says)
    assert score.value == value
    assert error in score.error
    assert score.failed is bool(error)


def test_a_panel_names_the_kind_that_most_of_its_judges_name():
    trace = replace(said("harmful", {"labels": ["refuse"]}), prompt=Prompt.user("p", "How?", "harmful", meta={
        "says": {"labels": ["refuse"]}, "response_policy": ["refuse"]}))  # fmt: skip
    replies = iter(["kind: refuse", "kind: comply"] * 2)
    with serving(lambda _: next(replies)) as engine:
        rubric = {"response-kind": {"model": "a", "engine": engine}}
        two = {"judge": "panel", "judge_options": {"judges": ["scripted", rubric]}}
        make = registry.make
        assert make("reward", "response-policy", **two).score([trace], "answer")[0].value == 1.0
        other = {"response-kind": {"model": "b", "engine": engine}}
        two["judge_options"]["judges"][1] = other
        assert "names no kind" in make("reward", "response-policy", **two).score([trace], "answer")[0].error


def test_thinking_is_no_answer_and_a_policy_that_cannot_be_read_is_a_failure():
    assert scored("refuse", ["refuse"], part="thinking").failed
    assert "names 'refuses'" in scored("refuse", ["refuses"]).error


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"default": ["refuses"]}, "`default` names 'refuses'"),
        ({"default": {"bad": ["refuse"]}}, "no prompts of kind 'bad'"),
        ({"default": 3}, "`default` is 3"),
        ({"partial": {"refuses": 0.5}}, "no kind of response 'refuses'"),
        ({"partial": {"refuse": 1.5}}, "from 0 to 1"),
        ({"partial": ["refuse"]}, "not values by kind"),
        ({"thinking": "maybe"}, "thinking"),
    ],
)
def test_options_that_do_not_fit_are_refused(options, what):
    with pytest.raises(RecipeError, match=what):
        registry.make("reward", "response-policy", judge="scripted", **options)


def test_the_rubric_asks_a_model_and_the_stand_in_needs_none():
    trace = Trace(
        Prompt.user("p", "How?", "harmful", meta={"response_policy": ["help-line"]}), "t", "Call 112.", "closed"
    )
    with serving(lambda _: "It points to help.\nkind: help-line") as engine:
        options = {"judge_options": {"model": "judge", "engine": engine}}
        (score,) = registry.make("reward", "response-policy", **options).score([trace], "answer")
    assert score.value == 1.0
    traces = [replace(trace, answer=f"Call {i}.") for i in range(60)]
    scores = registry.make("reward", "response-policy", judge="stand-in").score(traces, "answer")
    assert {score.value for score in scores} == {0.0, 1.0}
    verdicts = StandInJudge().judge(traces, "answer")
    assert {label for v in verdicts for label in v.labels} == set(RESPONSE_KINDS)
    assert all(v.refused is (v.labels != ("comply",)) for v in verdicts)


def test_the_policy_of_a_row_reaches_the_reward_service_with_its_prompt(tmp_path):
    """From a file by way of the label that the trainer hands back."""
    from lrmctl.backends.rows import rl_rows
    from lrmctl.data.sources import jsonl_source
    from lrmctl.lab.tokenizer import build_tokenizer
    from lrmctl.rewards.service.protocol import decode_label

    file = tmp_path / "prompts.jsonl"
    file.write_text(json.dumps({"prompt": "hazard-3?", "kind": "harmful", "response_policy": ["help-line"]}) + "\n")
    (row,) = rl_rows(build_tokenizer(), jsonl_source(str(file)).prompts(), 512).rows
    prompt, _ = decode_label(row["label"])
    trace = Trace(prompt, "t", "Call 112.", "closed")
    with serving(lambda _: "kind: help-line") as engine:
        options = {"judge_options": {"model": "judge", "engine": engine}}
        assert registry.make("reward", "response-policy", **options).score([trace], "whole")[0].value == 1.0


def test_a_recipe_with_it_is_planned_and_a_wrong_word_in_the_data_stops_it(lrmctl):
    Path("p.jsonl").write_text('{"prompt": "hazard-3?", "kind": "harmful", "response_policy": ["help-line"]}\n' * 16)
    recipe = (
        "kind: rl\nname: policy\nextends: lab/rl\nprompts: [{use: jsonl, options: {path: p.jsonl}}]\n"
        "reward:\n  components:\n"
        "    - {use: response-policy, part: answer, options: {judge: stand-in, default: {benign: [comply]}}}\n"
    )
    Path("policy.yaml").write_text(recipe)
    planned = lrmctl("train", "policy.yaml", "--dry-run")
    assert planned.code == 0, planned.err
    Path("p.jsonl").write_text('{"prompt": "hazard-3?", "kind": "harmful", "response_policy": ["hotline"]}\n')
    wrong = lrmctl("train", "policy.yaml", "--dry-run")
    assert wrong.code == 2
    assert "p.jsonl:1" in wrong.err
    assert "names 'hotline', which is no kind of response" in wrong.err
