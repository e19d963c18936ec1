"""Weights, routing by kind, and what a component does that breaks the contract."""

from __future__ import annotations

import pickle
import re
import sys

import pytest

from lrmctl.errors import LrmctlError
from lrmctl.recipe.schema.recipes import RewardSection
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


def section(*components: dict, **words) -> ComposedReward:
    return ComposedReward(RewardSection.model_validate({"components": components, **words}))


def constant(value: float, **words) -> dict:
    return {"use": "odd-constant", "options": {"value": value}, **words}


def test_a_score_is_clipped_before_its_weight_and_stays_raw_in_the_log():
    (reward,) = section(
        constant(9.0, name="a", clip=(-1, 2), weight=3.0), constant(-9.0, name="b", clip=(-1, 2))
    ).score([trace()])
    assert reward.total == 5.0
    assert reward.weighted == {"a": 6.0, "b": -1.0}
    assert reward.to_json()["a"] == {"value": 9.0, "weighted": 6.0, "error": ""}


@pytest.mark.parametrize(("gate", "total"), [(0.0, 0.0), (0.25, 1.0), (1.0, 4.0)])
def test_a_multiplying_gate_scales_the_sum_and_its_entry_says_by_how_much(gate, total):
    (reward,) = section(constant(gate, name="safe", gate="multiply"), constant(4.0, name="a")).score([trace()])
    assert reward.total == total
    assert reward.weighted == {"a": 4.0, "safe": total - 4.0}


@pytest.mark.parametrize(("score", "total"), [(0.49, -10.0), (0.5, 3.0), (1.0, 3.0)])
def test_a_veto_replaces_the_sum_below_its_bound_only(score, total):
    veto = constant(score, name="safe", gate="veto", otherwise=-10)
    (reward,) = section(veto, constant(3.0, name="a")).score([trace()])
    assert reward.total == total
    assert reward.weighted["safe"] == total - 3.0


def test_of_two_vetoes_the_first_decides_and_neither_is_multiplied():
    first = constant(0.0, name="v1", gate="veto", otherwise=-5)
    second = constant(0.0, name="v2", gate="veto", otherwise=-9)
    (reward,) = section(constant(3.0, name="a"), first, second, constant(0.5, name="m", gate="multiply")).score(
        [trace()]
    )
    assert reward.total == -5.0
    assert reward.weighted == {"a": 3.0, "m": -1.5, "v1": -6.5, "v2": 0.0}


def test_a_gate_applies_to_its_kinds_and_a_missing_score_opens_it():
    gated = section(
        constant(0.0, name="g", gate="multiply", when="harmful"),
        {"use": "odd-missing", "gate": "veto", "otherwise": -1},
        constant(2.0, name="a"),
    )
    assert [r.total for r in gated.score([trace("harmful"), trace("benign")])] == [0.0, 2.0]


def test_a_gate_that_fails_fails_its_rollout():
    gated = section({"use": "odd-raising", "gate": "multiply"}, constant(2.0, name="a"))
    (reward,) = gated.score([trace()])
    assert (reward.total, reward.failed_component) == (None, "odd-raising")
    assert reward.to_json()["odd-raising"]["weighted"] is None


def test_the_whole_reward_is_clipped_after_its_gates():
    rewards = section(constant(5.0, name="a", when="benign"), constant(-5.0, name="b", when="harmful"), clip=(-1, 1))
    assert [r.total for r in rewards.score([trace("benign"), trace("harmful")])] == [1.0, -1.0]


def test_what_the_components_add_is_the_total_whatever_the_gates_do():
    gated = section(
        {"use": "odd-length", "weight": 0.3},
        constant(0.7, name="m", gate="multiply"),
        {"use": "odd-length", "name": "v", "gate": "veto", "below": 3, "otherwise": -2},
    )
    for reward in gated.score([trace(answer="x" * n) for n in range(6)]):
        assert sum(reward.weighted.values()) == pytest.approx(reward.total)


def test_slow_components_are_asked_side_by_side_and_come_back_in_order():
    slow = [{"use": "odd-slow", "name": n, "options": {"seconds": 0.5}} for n in ("a", "b", "c")]
    reward = section(*slow, constant(1.0, name="d"))
    traces = [trace(), trace("benign")]
    reward.score(traces)  # nobody knows yet that they are slow
    at_once = sys.modules["odd_rewards"].AtOnce
    at_once.most = 0
    rewards = reward.score(traces)
    assert at_once.most == 3
    assert [list(r.components) for r in rewards] == [["a", "b", "c", "d"]] * 2
    assert [r.total for r in rewards] == [4.0, 4.0]


def test_a_rollout_alone_is_scored_in_the_thread_that_asks():
    import threading

    reward = section({"use": "odd-slow", "name": "a", "options": {"seconds": 0.01}}, constant(1.0))
    reward.score([trace()] * 2)
    seen = []
    terms = reward.terms
    for term in terms:
        inner = term.reward.score
        term.reward.score = lambda t, p, inner=inner: seen.append(threading.current_thread()) or inner(t, p)
    reward.score([trace()])
    assert set(seen) == {threading.current_thread()}


@pytest.mark.parametrize(
    ("components", "words", "says"),
    [
        ([{"use": "format", "fn": "a.py:b"}], {}, "exactly one of"),
        ([{"weight": 2}], {}, "exactly one of"),
        ([{"fn": "my_reward:score"}], {}, "write ./file.py:function"),
        ([{"use": "format", "clip": [1, 1]}], {}, "not below"),
        ([{"use": "format", "clip": [2, -1]}], {}, "not below"),
        ([{"use": "format"}], {"clip": [1, 0]}, "not below"),
        ([{"use": "format", "below": 0.2}], {}, "gate: veto"),
        ([{"use": "format"}, {"use": "correct", "gate": "multiply", "otherwise": 1}], {}, "gate: veto"),
        ([{"use": "format"}, {"use": "correct", "gate": "multiply", "weight": 2}], {}, "weight has no effect"),
        ([{"use": "format", "gate": "multiply"}], {}, "gates alone"),
        ([{"use": "format", "weight": 0}], {}, "weight 0"),
        ([{"use": "format"}, {"use": "correct", "gate": "veto", "otherwise": -9}], {"clip": [-1, 1]}, "outside"),
        ([{"fn": "a/my.py:score"}, {"fn": "b/my.py:score"}], {}, "'my'"),
    ],
)
def test_what_does_not_go_together_is_refused(components, words, says):
    with pytest.raises(ValueError, match=re.escape(says)):
        RewardSection.model_validate({"components": components, **words})


def test_a_resolved_section_is_a_section_again():
    first = RewardSection.model_validate(
        {"components": [{"use": "format", "clip": [-1, 0]}, {"use": "correct", "gate": "veto", "below": 0.1}]}
    )
    assert RewardSection.model_validate(first.model_dump(mode="json")) == first


def test_a_component_of_weight_zero_and_a_gate_cover_no_kind():
    reward = section(
        {"use": "format", "when": "harmful"}, constant(1.0, weight=0), constant(1.0, name="g", gate="veto")
    )
    assert [reward.covers(k) for k in ("harmful", "benign", "reasoning")] == [True, False, False]


def test_rewards_survive_pickling():
    (reward,) = section(constant(2.0)).score([trace()])
    assert pickle.loads(pickle.dumps(reward)) == reward
