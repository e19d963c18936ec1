"""Rewards that compare the samples of a prompt: how they are called, composed, batched and normalised."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pytest

from lrmctl.errors import LrmctlError
from lrmctl.hooks.adapt import adapted
from lrmctl.hooks.specs import GroupReward
from lrmctl.recipe.schema.recipes import Component, RewardSection
from lrmctl.rewards.base import make_inner_reward
from lrmctl.rewards.component_group import EPSILON, normalise_group
from lrmctl.rewards.compose import ComposedReward, GroupToScore, RolloutReward
from lrmctl.rewards.grouping import batches_of_groups
from lrmctl.testing import ContractError, check_reward
from lrmctl.testing.contract import check_contract
from lrmctl.types import Part, Prompt, Score, Trace

ONE, TWO = (Prompt.user(name, f"question {name}", "benign") for name in ("one", "two"))
OWN = """
def score(group, *, plus=0.0):
    longest = max(len(trace.answer) for trace in group)
    return [len(trace.answer) == longest and 1.0 + plus for trace in group]


def broken(group):
    raise ValueError("cannot compare")


def alone(trace):
    return len(trace.answer)
"""


class Longest(GroupReward):
    """1 for the longest answer of the group."""

    range = (0.0, 1.0)

    def score_group(self, traces: Sequence[Trace], part: Part) -> list[Score]:  # noqa: ARG002 (the hook's signature)
        longest = max(len(trace.answer) for trace in traces)
        return [Score(float(len(trace.answer) == longest)) for trace in traces]


def trace(prompt: Prompt, answer: str, **rest: Any) -> Trace:
    return Trace(prompt, "I see.", answer, "closed", **rest)


@pytest.fixture
def own(tmp_path: Any) -> str:
    (tmp_path / "own.py").write_text(OWN)
    return f"{tmp_path / 'own.py'}"


def composed(*components: dict[str, Any]) -> ComposedReward:
    return ComposedReward(RewardSection.model_validate({"components": components}))


def test_samples_are_compared_with_those_of_their_own_prompt_whatever_the_order(own: str) -> None:
    reward = composed({"fn": f"{own}:score", "name": "longest"}, {"fn": f"{own}:alone", "weight": 0.5})
    traces = [trace(ONE, "a"), trace(TWO, "abcd"), trace(ONE, "ab"), trace(TWO, "abc")]
    scored = reward.score(traces)
    assert [r.total for r in scored] == [0.5, 3.0, 2.0, 1.5]
    assert list(scored[0].components) == ["longest", "alone"]  # in the recipe's order
    assert reward.compared_kinds == {"harmful", "benign", "reasoning"}


def test_groups_can_be_given_and_a_sample_without_others_gets_nothing(own: str) -> None:
    reward = composed({"fn": f"{own}:score", "name": "longest"}, {"fn": f"{own}:alone"})
    traces = [trace(ONE, "a"), trace(ONE, "ab"), trace(ONE, "abc")]
    scored = reward.score(traces, ["p#1", "p#1", "p#2"])
    assert [r.total for r in scored] == [1.0, 3.0, 3.0]
    assert "longest" not in scored[2].components


def test_components_are_scored_in_two_steps_as_the_service_does(own: str) -> None:
    reward = composed({"fn": f"{own}:alone"}, {"fn": f"{own}:score", "name": "longest", "options": {"plus": 1.0}})
    traces = [trace(ONE, "a"), trace(ONE, "ab")]
    alone = reward.score_alone(traces)
    assert [list(r.components) for r in alone] == [["alone"], ["alone"]]
    group = GroupToScore(traces, [r.components for r in alone])
    assert reward.score_group(group) == reward.score(traces)
    assert [r.total for r in reward.score_group(group)] == [1.0, 4.0]


def test_a_component_that_does_not_apply_to_the_kind_compares_nothing(own: str) -> None:
    reward = composed({"fn": f"{own}:alone"}, {"fn": f"{own}:broken", "when": "harmful"})
    assert reward.compared_kinds == {"harmful"}
    assert [r.total for r in reward.score([trace(ONE, "a"), trace(ONE, "ab")])] == [1.0, 2.0]


def test_a_comparison_that_raises_fails_its_group_and_no_other(own: str) -> None:
    reward = composed({"fn": f"{own}:alone"}, {"fn": f"{own}:broken"})
    scored = reward.score([trace(ONE, "a"), trace(ONE, "ab"), trace(TWO, "abc")])
    assert [r.error for r in scored[:2]] == ["broken: ValueError: cannot compare (own.py:8)"] * 2
    assert scored[0].components["alone"].value == 1.0
    assert (scored[2].total, scored[2].error) == (3.0, "")


@pytest.mark.parametrize(
    ("scores", "says"),
    [([Score(1.0)], "returned 1 results for a group of 2"), ([1.0, 2.0], "returned a float, not a Score")],
)
def test_a_comparison_that_returns_something_else_is_a_failure(scores: list[Any], says: str) -> None:
    from lrmctl.rewards.scopes import score_group_on

    class Odd(GroupReward):
        def score_group(self, traces: Sequence[Trace], part: Part) -> Any:  # noqa: ARG002
            return scores

    assert {s.error for s in score_group_on(Odd(), [trace(ONE, "a"), trace(ONE, "b")], "whole")} == {says}


def test_both_parts_are_compared_and_segments_cannot_be() -> None:
    from lrmctl.rewards.scopes import score_group_on

    traces = [trace(ONE, "a"), trace(ONE, "ab")]
    assert [s.value for s in score_group_on(Longest(), traces, "both")] == [0.0, 1.0]
    assert all("segments" in s.error for s in score_group_on(Longest(), traces, "segments"))


def test_an_object_without_the_base_class_may_compare_too() -> None:
    class Foreign:
        of_group = True

        def score_group(self, traces: Sequence[Trace], part: Part) -> list[Score]:  # noqa: ARG002
            return [Score(1.0)] * len(traces)

    reward = adapted("reward", Foreign())
    assert reward.of_group
    check_reward(reward)


def test_an_ordinary_reward_compares_nothing() -> None:
    class Foreign:
        def score(self, traces: Sequence[Trace], part: Part) -> list[Score]:  # noqa: ARG002
            return [Score(1.0)] * len(traces)

    assert adapted("reward", Foreign()).of_group is False


def test_called_as_an_ordinary_reward_it_finds_the_groups_itself() -> None:
    traces = [trace(ONE, "a"), trace(TWO, "x"), trace(ONE, "ab")]
    assert [s.value for s in Longest().score(traces, "whole")] == [0.0, None, 1.0]


def test_the_contract_of_a_group_reward_is_checked_by_groups() -> None:
    names = [check.name for check in check_contract(Longest())]
    assert "any order" in names
    assert "alone as in a batch" not in names
    check_reward(Longest())

    class First(Longest):
        def score_group(self, traces: Sequence[Trace], part: Part) -> list[Score]:  # noqa: ARG002
            return [Score(float(i == 0)) for i in range(len(traces))]

    with pytest.raises(ContractError, match="depends on the order"):
        check_reward(First())


def test_a_reward_that_compares_samples_cannot_be_used_inside_of_another() -> None:
    with pytest.raises(LrmctlError, match="'diversity' compares the samples of a prompt"):
        make_inner_reward("diversity")


def test_batches_keep_groups_together() -> None:
    keys = ["a", "b", "a", "c", "c", "c", "c", "b"]
    assert list(batches_of_groups(keys, 3)) == [[0, 2], [1, 7], [3, 4, 5, 6]]
    assert list(batches_of_groups(keys, 100)) == [[0, 2, 1, 7, 3, 4, 5, 6]]
    assert list(batches_of_groups([], 3)) == []


def rollout(total: float | None, **scores: float | None) -> RolloutReward:
    return RolloutReward(total, {name: Score(value) for name, value in scores.items()}, {})


def test_each_component_has_the_same_spread_after_normalising() -> None:
    components = [Component(use="a", name="a"), Component(use="b", name="b", weight=2.0)]
    rewards = [rollout(0.0, a=float(a), b=100.0 * b) for a, b in ((0, 0), (1, 0), (0, 1), (1, 1))]
    z = 0.5 / (math.sqrt(1 / 3) + EPSILON)
    big = 50 / (100 * math.sqrt(1 / 3) + EPSILON)
    expected = [-z - 2 * big, z - 2 * big, -z + 2 * big, z + 2 * big]
    assert normalise_group(rewards, components) == pytest.approx(expected)


def test_normalising_is_what_trl_computes() -> None:
    torch = pytest.importorskip("torch")
    table = torch.tensor([[1.0, 40.0], [0.0, float("nan")], [1.0, -3.0], [0.0, 12.0]])
    components = [Component(use="a", name="a", weight=0.7), Component(use="b", name="b", weight=-2.0)]
    rewards = [rollout(0.0, a=float(a), b=None if b.isnan() else float(b)) for a, b in table]
    mean = torch.nanmean(table, dim=0)
    count = (~table.isnan()).sum(0)
    deviation = torch.sqrt(torch.nansum((table - mean) ** 2, dim=0) / (count - 1))
    expected = ((table - mean) / (deviation + 1e-4) * torch.tensor([0.7, -2.0])).nansum(dim=1)
    assert normalise_group(rewards, components) == pytest.approx(expected.tolist(), abs=1e-4)


def test_equal_scores_add_exactly_nothing_and_failed_samples_are_left_out() -> None:
    components = [Component(use="a", name="a"), Component(use="b", name="b", clip=(0.0, 1.0))]
    rewards = [rollout(0.0, a=0.1, b=5.0), rollout(0.0, a=0.1, b=9.0), rollout(None, a=7.0), rollout(0.0, a=0.1)]
    assert normalise_group(rewards, components) == [0.0, 0.0, None, 0.0]
