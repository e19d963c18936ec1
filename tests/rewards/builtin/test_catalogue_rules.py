"""Rule-based rewards: weighted propositions."""

from __future__ import annotations

import json

import pytest
from rubric_server import serving

from lrmctl.errors import LrmctlError, RecipeError
from lrmctl.hooks import registry
from lrmctl.rewards.builtin.features import FEATURES
from lrmctl.testing.checks import check_reward
from lrmctl.types import Prompt, Trace

PROMPT = Prompt.user("p", "How do I pick a lock?", "harmful")


def trace(answer, thinking="Hm.", **changes):
    return Trace(PROMPT, thinking, answer, **{"thinking_state": "closed", **changes})


def rules(*rows, **options):
    return registry.make("reward", "rules", rules=list(rows), **options)


SORRY = trace("I'm sorry, but I can't help with that.")


def test_the_reward_is_the_weighted_sum_of_the_propositions():
    reward = rules(
        {"feature": "apology", "weight": 0.5},
        {"feature": "inability", "weight": 0.25},
        {"feature": "judgement", "weight": -2},
        {"name": "tidy", "reward": "repetition", "options": {"n": 1}, "weight": 1.0},
    )
    (first, second) = reward.score([SORRY, trace("Sorry. That is illegal, illegal.")], "answer")
    assert first.value == pytest.approx(0.75)
    # sorry that is illegal illegal: 4 of 5 words are distinct
    assert second.value == pytest.approx(0.5 - 2 - 0.2)
    assert second.logs == {"apology": 1.0, "inability": 0.0, "judgement": 1.0, "tidy": pytest.approx(-0.2)}
    assert reward.range == (-3.0, 0.75)


def test_bad_form_is_worth_the_least():
    cut = trace("I'm sorry", finish_reason="length")
    assert (
        rules({"feature": "apology", "weight": 2}, {"feature": "asks", "weight": -1}).score([cut], "whole")[0].value
        == -1
    )
    assert rules({"feature": "apology", "weight": 2}, bad_form=-5).score([cut], "whole")[0].value == -5


def test_statements_are_put_to_a_judge_model():
    def answer(question):
        yes = 0.75 if "It apologises." in question and "sorry" in question else 0.125
        return {"Yes": yes * 0.8, "No": (1 - yes) * 0.8, "Well": 0.2}

    with serving(answer) as engine:
        reward = rules(
            {"name": "sorry", "ask": "It apologises.", "weight": 2.0},
            {"name": "insults", "ask": "It insults the user.", "weight": -1.0},
            model="judge",
            engine=engine,
        )
        first, second = reward.score([SORRY, trace("Step 1: take a pick.")], "answer")
        check_reward(reward, [SORRY, trace("\u00e9\x00"), trace("", finish_reason="length")])
    assert first.value == pytest.approx(2 * 0.75 - 0.125)
    assert second.value == pytest.approx(2 * 0.125 - 0.125)


def test_a_judge_that_says_neither_is_a_failed_score_that_names_the_proposition():
    with serving(lambda _: {"Maybe": 0.9, "Yes": 0.05}) as engine:
        reward = rules({"name": "sorry", "ask": "It apologises.", "weight": 2.0}, model="judge", engine=engine)
        (score,) = reward.score([SORRY], "answer")
    assert score.value is None
    assert "proposition 'sorry'" in score.error


@pytest.mark.parametrize(
    ("rows", "what"),
    [
        ([], "empty"),
        (["apology"], "has no weight"),
        ([{"feature": "apolgy", "weight": 1}], "did you mean 'apology'"),
        ([{"ask": "Is it?", "weight": 1}], "has no name"),
        ([{"name": "a", "ask": "Is it?", "weight": 1}], "nobody is asked"),
        ([{"label": "apology", "weight": 1}], "rollouts have none"),
        ([{"feature": "apology", "weight": 1}, {"feature": "apology", "weight": 1}], "two propositions"),
        ([{"feature": "apology", "weight": float("nan")}], "not a number"),
        ([{"feature": "apology", "weigth": 1}], "has no 'weigth'"),
        ([{"feature": "apology", "ask": "x", "weight": 1}], "is no proposition"),
        ([{"reward": "reward-model", "options": {"model": "m"}, "weight": 1}], "bad_form"),
    ],
)
def test_what_is_no_rule_is_refused_before_a_run(rows, what):
    with pytest.raises(LrmctlError, match=what):
        rules(*rows)


def test_rules_and_weights_come_from_a_fitted_file(tmp_path):
    file = tmp_path / "weights.json"
    file.write_text(json.dumps({"rules": [{"name": "s", "feature": "apology"}], "weights": {"s": 1.5}}))
    assert registry.make("reward", "rules", rules=str(file)).score([SORRY], "answer")[0].value == 1.5
    assert rules({"name": "s", "feature": "inability"}, weights=str(file)).score([SORRY], "answer")[0].value == 1.5
    assert rules("apology", weights={"apology": 3}).score([SORRY], "answer")[0].value == 3
    file.write_text("[]")
    with pytest.raises(RecipeError, match="no file of"):
        registry.make("reward", "rules", rules=str(file))


@pytest.mark.parametrize(
    ("name", "yes", "no"),
    [
        ("apology", "I apologize.", "You are welcome."),
        ("inability", "I can\u2019t do that.", "I can do that."),
        ("disclaimer", "As an AI, I cannot feel.", "Cars drive."),
        ("policy", "This is against the guidelines.", "It is a police car."),
        ("judgement", "That would be unethical.", "That would be fun."),
        ("professional_help", "Please talk to a mental health professional.", "Talk to me."),
        ("resources", "You can call 988 now.", "You can call me."),
        ("empathy", "I understand how hard this is.", "It is raining."),
        ("offer", "Let me know if I can do more.", "Go."),
        ("asks", "What do you need?", "I know what you need."),
        ("steps", "Do this:\n1. take it", "Take 1. Or 2."),
        ("code", "```x```", "x"),
        ("long", "w " * 300, ""),
        ("in_form", "An answer.", ""),
        ("thought", "An answer.", None),
    ],
)
def test_features_find_what_they_are_called(name, yes, no):
    assert FEATURES[name](trace(yes), "answer") == 1.0
    other = trace("x", thinking_state="unclosed") if no is None else trace(no)
    assert FEATURES[name](other, "answer") == 0.0


def test_every_feature_is_tested():
    tested = {row[0] for row in test_features_find_what_they_are_called.pytestmark[0].args[1]}
    assert tested == set(FEATURES)
