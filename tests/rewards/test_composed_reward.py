"""Weights, routing by kind, and what a component does that breaks the contract."""

from __future__ import annotations

import pytest

from lrmctl.errors import LrmctlError
from lrmctl.recipe.schema import RewardSection
from lrmctl.rewards.compose import ComposedReward
from lrmctl.types import Prompt, Trace

pytestmark = pytest.mark.usefixtures("odd_rewards")


def composed(*components: dict) -> ComposedReward:
    return ComposedReward(RewardSection.model_validate({"components": components}))


def trace(kind: str = "harmful", answer: str = "no") -> Trace:
    return Trace(Prompt.user(f"{kind}/{answer}", "?", kind), "hm", answer, "closed")


def test_the_total_is_the_weighted_sum_of_what_applies_to_the_kind():
    reward = composed(
        {"use": "odd-constant", "name": "a", "options": {"value": 0.5}, "weight": 2.0, "when": ["harmful", "benign"]},
        {"use": "odd-constant", "name": "b", "weight": -0.25},
        {"use": "odd-length", "name": "c", "weight": 10.0, "when": "reasoning"},
    )
    rewards = reward.score([trace("harmful"), trace("reasoning", "four"), trace("benign")])
    assert [r.total for r in rewards] == [0.75, 39.75, 0.75]
    assert [sorted(r.components) for r in rewards] == [["a", "b"], ["b", "c"], ["a", "b"]]


def test_each_trace_gets_its_own_score_when_kinds_are_mixed():
    reward = composed({"use": "odd-length", "when": "benign"})
    mixed = [trace("benign", "x" * n) if n % 2 else trace("harmful", "x" * n) for n in range(6)]
    assert [r.total for r in reward.score(mixed)] == [0.0, 1.0, 0.0, 3.0, 0.0, 5.0]


def test_a_missing_score_is_left_out_of_the_sum():
    (reward,) = composed({"use": "odd-missing", "weight": 100.0}, {"use": "odd-constant"}).score([trace()])
    assert (reward.total, reward.error) == (1.0, "")
    assert reward.components["odd-missing"].missing


def test_kinds_that_no_component_covers_can_be_told_beforehand():
    reward = composed({"use": "format", "when": ["harmful", "benign"]})
    assert [reward.covers(k) for k in ("harmful", "benign", "reasoning")] == [True, True, False]


@pytest.mark.parametrize(
    ("use", "options", "says"),
    [
        ("odd-raising", {"message": "no such guard"}, "ValueError: no such guard (odd_rewards.py:"),
        ("odd-exiting", {}, "SystemExit: 7"),
        ("odd-too-few", {}, "returned 2 results for 3 traces"),
        ("odd-none", {}, "TypeError: 'NoneType' object is not iterable"),
        ("odd-float", {}, "returned a float, not a Score"),
        ("odd-constant", {"value": "nan"}, "value is nan"),
        ("odd-constant", {"value": "-inf"}, "value is -inf"),
        ("odd-constant", {"value": True}, "value is a bool"),
        ("odd-constant", {"value": [1.0]}, "value is a list"),
    ],
)
def test_a_component_that_breaks_the_contract_fails_with_the_reason(use, options, says):
    rewards = composed({"use": "format"}, {"use": use, "name": "odd", "options": options}).score([trace()] * 3)
    for reward in rewards:
        assert reward.total is None
        assert reward.failed_component == "odd"
        assert says in reward.error
        assert reward.components["format"].value == 0.0


def test_one_trace_that_makes_a_component_raise_does_not_fail_its_neighbours():
    reward = composed({"use": "odd-raising-on", "options": {"text": "poison"}})
    rewards = reward.score([trace(answer="a"), trace(answer="poison"), trace(answer="b")])
    assert [r.total for r in rewards] == [1.0, None, 1.0]


def test_numpy_numbers_become_plain_floats():
    (reward,) = composed({"use": "odd-numpy"}).score([trace()])
    assert type(reward.components["odd-numpy"].value) is float


def test_an_infinite_sum_is_a_failure():
    (reward,) = composed({"use": "odd-constant", "options": {"value": 1e308}, "weight": 100.0}).score([trace()])
    assert reward.total is None
    assert "weights" in reward.blame(trace())


def test_no_traces_give_no_rewards():
    assert composed({"use": "odd-raising"}).score([]) == []


def test_an_unknown_reward_is_refused_with_a_suggestion():
    with pytest.raises(LrmctlError, match="judged-saef") as caught:
        composed({"use": "judged-saef"})
    assert "judged-safe" in str(caught.value)


def test_an_option_that_the_reward_does_not_take_is_refused():
    with pytest.raises(LrmctlError, match="partail"):
        composed({"use": "judged-safe", "options": {"judge": "lab", "partail": 0.3}})
