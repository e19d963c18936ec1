"""Running mean and deviation by kind, and which component moves the reward: both against numpy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lrmctl.errors import RecipeError
from lrmctl.preflight.validate import validate
from lrmctl.recipe.load import load_recipe
from lrmctl.recipe.schema.recipes import RewardSection
from lrmctl.rewards.compose import ComposedReward
from lrmctl.rewards.offline.variance import shares
from lrmctl.rewards.service.normalise import FLOOR, MIN_COUNT, KindNormaliser, RunningMoments
from lrmctl.types import Prompt, Trace

ON = RewardSection.model_validate({"components": [{"use": "format"}], "normalise": "kind"})
OFF = RewardSection.model_validate({"components": [{"use": "format"}]})
finite = st.floats(-1e6, 1e6)


@given(st.lists(finite, min_size=1, max_size=200))
def test_the_running_figures_are_numpys(values):
    running = RunningMoments()
    for value in values:
        running.add(value)
    assert running.mean == pytest.approx(np.mean(values), rel=1e-9, abs=1e-9)
    assert running.deviation == pytest.approx(np.std(values), rel=1e-6, abs=1e-6)


@given(st.lists(st.tuples(st.sampled_from(["harmful", "benign"]), st.floats(-100, 100)), max_size=150))
def test_each_reward_is_held_against_those_of_its_kind_so_far(stream):
    normaliser, seen = KindNormaliser(ON), {"harmful": [], "benign": []}
    for kind, value in stream:
        so_far = seen[kind]
        so_far.append(value)
        expected = value
        if len(so_far) >= MIN_COUNT:
            expected = (value - np.mean(so_far)) / max(np.std(so_far), FLOOR)
        assert normaliser.apply(kind, value) == pytest.approx(expected, rel=1e-6, abs=1e-6)


def test_nothing_is_changed_before_there_are_enough_nor_without_being_asked():
    normaliser, off = KindNormaliser(ON), KindNormaliser(OFF)
    given_back = [normaliser.apply("harmful", 5.0 + n % 2) for n in range(MIN_COUNT)]
    assert given_back[:-1] == [5.0 + n % 2 for n in range(MIN_COUNT - 1)]
    assert given_back[-1] == pytest.approx(1.0)
    assert normaliser.apply("benign", 7.0) == 7.0
    assert [off.apply("harmful", 5.0) for _ in range(2 * MIN_COUNT)] == [5.0] * (2 * MIN_COUNT)
    assert off.state() == {}


def test_equal_rewards_become_zero_and_not_noise():
    normaliser = KindNormaliser(ON)
    last = [normaliser.apply("harmful", 0.1) for _ in range(3 * MIN_COUNT)][-1]
    assert last == pytest.approx(0.0, abs=1e-9)


def test_a_run_that_goes_on_is_normalised_as_if_it_had_never_stopped():
    rng = np.random.default_rng(0)
    stream = [(str(rng.choice(["harmful", "benign"])), float(rng.normal())) for _ in range(300)]
    whole, first = KindNormaliser(ON), KindNormaliser(ON)
    expected = [whole.apply(*one) for one in stream]
    rows = [
        {"phase": "train", "kind": k, "total": t, "reward": first.apply(k, t), "error": ""} for k, t in stream[:200]
    ]
    rows[7:7] = [
        {"phase": "train", "kind": "harmful", "total": None, "reward": 0.0, "error": "judge: gone"},
        {"phase": "eval", "kind": "harmful", "total": 99.0, "reward": 99.0, "error": ""},
        {"phase": "train", "kind": "harmful", "reward": 50.0, "error": ""},
    ]
    again = KindNormaliser(ON)
    again.restore(rows)
    assert [again.apply(*one) for one in stream[200:]] == expected[200:]


def test_within_a_group_an_affine_change_leaves_grpo_advantages_as_they_were():
    group = np.array([0.0, 1.0, 1.0, 0.3])
    changed = (group - 0.2) / 3.7
    advantages = [(g - g.mean()) / g.std() for g in (group, changed)]
    assert advantages[0] == pytest.approx(advantages[1])


def _rows(reward: ComposedReward, traces: list[Trace]) -> list[dict]:
    scored = zip(traces, reward.score(traces), strict=True)
    return [
        {"kind": t.prompt.kind, "reward": r.total, "total": r.total, "error": r.error, "components": r.to_json()}
        for t, r in scored
    ]


def _traces(n: int) -> list[Trace]:
    kinds = ("harmful", "benign", "reasoning")
    return [
        Trace(Prompt.user(f"p{i}", "?", kinds[i % 3]), "x" * (i * 7 % 5), "a" * (i * 3 % 11), "closed")
        for i in range(n)
    ]


@pytest.mark.usefixtures("odd_rewards")
@pytest.mark.parametrize("gate", [None, "multiply", "veto"])
def test_shares_add_up_to_one_with_and_without_gates(gate):
    components = [
        {"use": "odd-length", "name": "long", "weight": 0.4},
        {"use": "format", "weight": 2.0, "when": "benign"},
        {"use": "odd-length", "name": "gate", **({"gate": gate} if gate else {"weight": -1.0})},
    ]
    reward = ComposedReward(RewardSection.model_validate({"components": components}))
    rows = _rows(reward, _traces(60))
    found = {s.kind: s for s in shares(rows)}
    assert list(found) == ["all", "harmful", "benign", "reasoning"]
    for one in found.values():
        assert sum(one.shares.values()) == pytest.approx(1.0)
    total = [row["total"] for row in rows]
    added = [row["components"]["long"]["weighted"] for row in rows]
    assert found["all"].shares["long"] == pytest.approx(np.cov(added, total, ddof=0)[0, 1] / np.var(total))


@pytest.mark.usefixtures("odd_rewards")
def test_a_clipped_reward_leaves_a_rest_and_a_constant_one_has_no_shares():
    words = {"components": [{"use": "odd-length"}], "clip": [0, 4]}
    (clipped, *_) = shares(_rows(ComposedReward(RewardSection.model_validate(words)), _traces(60)))
    assert abs(clipped.rest) > 0.1
    words = {"components": [{"use": "odd-constant"}]}
    (constant, *_) = shares(_rows(ComposedReward(RewardSection.model_validate(words)), _traces(6)))
    assert (constant.variance, constant.shares, constant.rest) == (0.0, {}, 0.0)


def test_failed_rows_and_rows_of_evaluation_do_not_count():
    rows = [
        {"kind": "harmful", "reward": 0.0, "error": "judge: gone", "components": {}},
        {"kind": "harmful", "reward": 9.0, "phase": "eval", "error": "", "components": {}},
    ]
    assert shares(rows) == []


def test_openrlhfs_own_normalising_is_refused_and_ours_is_named():
    loaded = load_recipe("lab/rl", ["backend.flags={reward.normalize_enable: true}"])
    with pytest.raises(RecipeError, match=r"reward\.normalise: kind"):
        validate(loaded)
