"""Each clause of a reward's contract finds the reward that breaks it, and only that clause."""

from __future__ import annotations

import time
from collections.abc import Sequence

import pytest

from lrmctl.testing.contract import check_contract, check_failures, latency, sample_traces
from lrmctl.types import Part, Score, Trace


class Length:
    """Keeps the contract."""

    range = (0.0, 6000.0)

    def score(self, traces: Sequence[Trace], part: Part) -> list[Score]:
        del part
        return [Score(float(len(t.thinking))) for t in traces]


class Racy(Length):
    """Keeps the trace at hand in itself, as code does that was written for one caller."""

    def score(self, traces: Sequence[Trace], part: Part) -> list[Score]:
        del part
        return [self.one(trace) for trace in traces]

    def one(self, trace: Trace) -> Score:
        self.trace = trace
        time.sleep(0.0005)
        return Score(float(len(self.trace.thinking)))


class Identity(Length):
    """Knows traces by the object that they are."""

    def __init__(self) -> None:
        self.known = sample_traces()

    def score(self, traces: Sequence[Trace], part: Part) -> list[Score]:
        del part
        return [Score(float(any(trace is known for known in self.known))) for trace in traces]


class First(Length):
    """Looks at the first of a batch only."""

    def score(self, traces: Sequence[Trace], part: Part) -> list[Score]:
        del part
        return [Score(float(len(traces[0].thinking))) for _ in traces]


class Narrow(Length):
    range = (0.0, 100.0)


class Failing(Length):
    def score(self, traces: Sequence[Trace], part: Part) -> list[Score]:
        del part
        return [Score(1.0) if t.answer else Score(error="there is no answer") for t in traces]


def broken(reward: Length, traces: Sequence[Trace] | None = None) -> list[str]:
    return [check.name for check in check_contract(reward, traces) if not check.ok]


@pytest.mark.parametrize(
    ("reward", "clauses"),
    [
        (Length(), []),
        (Racy(), ["thread-safe"]),
        (Narrow(), ["in its range"]),
        (First(), ["any order", "alone as in a batch", "thread-safe"]),
        (Failing(), []),
    ],
)
def test_the_clause_that_is_broken_is_found(reward: Length, clauses: list[str]) -> None:
    assert broken(reward) == clauses


def test_a_reward_that_knows_its_objects_does_not_survive_a_pipe() -> None:
    reward = Identity()
    assert broken(reward, reward.known) == ["pickled traces"]


def test_failed_scores_are_allowed_and_told() -> None:
    check = check_failures(Failing())
    assert not check.ok
    assert check.found.startswith("9 of 21 failed; first: there is no answer (harmful, thinking unclosed")


def test_latency_is_per_trace() -> None:
    found = latency(Racy(), seconds=0.05, batch=8)
    assert 0.4 < found.single_p50 <= found.single_p95 < 50
    assert 0.4 < found.batched_p50 <= found.batched_p95 < 50
