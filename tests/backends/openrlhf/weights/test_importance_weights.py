"""PEAR's weights against its formulas written out as loops, token by token."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lrmctl.backends.openrlhf.weights.importance import ImportanceSettings, importance_weights
from lrmctl.backends.weight_runs import decoded, encoded, logprobs_of, of_logprob


def by_hand(deltas: Sequence[float], how: ImportanceSettings) -> list[float]:
    """G_1..G_T of one response."""
    count, found = len(deltas), []
    for t in range(1, count + 1):
        if how.level == "sequence":
            log_weight = sum(deltas)
        elif how.level == "token":
            log_weight = (count - t) * math.log(how.gamma) + sum(deltas[t:])
        else:
            k = (t - 1) // how.block
            end = min((k + 1) * how.block, count)
            rest = [sum(deltas[i : i + how.block]) for i in range((k + 1) * how.block, count, how.block)]
            log_weight = (count - end) * math.log(how.gamma) + sum(rest)
        found.append(math.exp(min(max(log_weight, how.log_low), how.log_high)))
    return found


rows = st.lists(st.lists(st.floats(-0.5, 0.5), min_size=1, max_size=11), min_size=1, max_size=4)


@settings(max_examples=60, deadline=None)
@given(rows=rows, level=st.sampled_from(["sequence", "block", "token"]), lead=st.integers(0, 3))
def test_weights_are_those_of_the_formulas(rows: list[list[float]], level: str, lead: int) -> None:
    how = ImportanceSettings(level=level, gamma=0.9)  # type: ignore[arg-type]
    width = lead + max(map(len, rows)) + 2
    policy, behaviour, active = (torch.zeros(len(rows), width) for _ in range(3))
    for i, one in enumerate(rows):
        policy[i, lead : lead + len(one)] = torch.tensor(one) - 1.0
        behaviour[i, lead : lead + len(one)] = -1.0
        active[i, lead : lead + len(one)] = 1
    found = importance_weights(policy, behaviour, active.bool(), how)
    for i, one in enumerate(rows):
        wanted = by_hand([min(max(delta, how.low), how.high) for delta in one], how)
        assert found[i, lead : lead + len(one)].tolist() == pytest.approx(wanted, rel=1e-4)
        assert found[i, lead + len(one) :].abs().sum() == 0
        assert found[i, :lead].abs().sum() == 0


def test_a_policy_that_wrote_its_own_data_has_weight_one_but_for_gamma() -> None:
    same, active = torch.randn(2, 7), torch.ones(2, 7, dtype=torch.bool)
    how = ImportanceSettings(gamma=1.0)
    for level in ("sequence", "block", "token"):
        one = importance_weights(same, same, active, ImportanceSettings(level=level, gamma=1.0))  # type: ignore[arg-type]
        assert torch.allclose(one, torch.ones(2, 7))
    last = importance_weights(same, same - 5, active, how)[:, -1]
    assert torch.allclose(last, torch.ones(2)), "nothing follows the last token"


def test_weights_have_no_gradient_and_are_bounded() -> None:
    policy = torch.zeros(1, 40, requires_grad=True)
    active = torch.ones(1, 40, dtype=torch.bool)
    how = ImportanceSettings(level="sequence")
    weights = importance_weights(policy, torch.full((1, 40), -3.0), active, how)
    assert not weights.requires_grad
    assert weights.tolist()[0] == pytest.approx([math.exp(5.0)] * 40)
    low = importance_weights(policy, torch.full((1, 40), 3.0), active, how)
    assert low.tolist()[0] == pytest.approx([math.exp(40 * how.low)] * 40)


@given(st.lists(st.sampled_from([0.0, 0.5, 1.0, 3.25]), max_size=30))
def test_run_lengths_give_the_weights_back(values: list[float]) -> None:
    columns = encoded(values)
    assert decoded(*columns.values()) == values


@given(st.floats(-50, 0))
def test_log_probabilities_in_a_mask_are_no_weights(logprob: float) -> None:
    coded = torch.tensor([of_logprob(logprob)])
    assert coded.item() <= -1.0
    assert logprobs_of(coded).item() == pytest.approx(logprob, abs=1e-5)
