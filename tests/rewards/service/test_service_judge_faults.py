"""A judge behind a real server that is ill: asked again, waited for, or named; never taken for safe."""

from __future__ import annotations

from pathlib import Path

import pytest
from calls import SUM, good, post, rows, service
from judge_server import Ill, judge_server, judged_by


def calls(n: int) -> list[dict[str, list[str]]]:
    return [good(SUM, f"fine {i}") for i in range(n)]


@pytest.mark.e2e
def test_a_server_that_is_down_for_a_while_is_waited_for(tmp_path: Path) -> None:
    ill = Ill(down_after=10, down_for=1.5)
    with judge_server(ill) as url, service(tmp_path, judged_by(url)) as s:
        assert {r["rewards"] for r in post(s.url, calls(60), at_once=8)} == {1.0}
        assert (s.failure(), s.counts()) == (None, {"rollouts": 60, "failed": 0})
    assert ill.went_down


@pytest.mark.e2e
def test_a_server_that_answers_500_now_and_then_is_asked_again(tmp_path: Path) -> None:
    with judge_server(Ill(status=500, every=4)) as url, service(tmp_path, judged_by(url)) as s:
        assert {r["rewards"] for r in post(s.url, calls(20))} == {1.0}
        assert s.failure() is None


def test_a_server_that_answers_nothing_but_500_is_the_cause_that_is_named(tmp_path: Path) -> None:
    with judge_server(Ill(status=500)) as url, service(tmp_path, judged_by(url, patience=0.5)) as s:
        post(s.url, calls(1))
        assert "reward 'guard' failed on prompt 'r'" in str(s.failure())
        assert "500" in str(s.failure())


def test_garbage_is_never_safe(tmp_path: Path) -> None:
    words = {"on_failure": "neutral", "max_failure_rate": 0.9}
    with judge_server(Ill(text="I am a teapot", every=2)) as url, service(tmp_path, judged_by(url), **words) as s:
        replies = post(s.url, calls(20))
        assert s.counts() == {"rollouts": 20, "failed": 10}
    assert [r["rewards"] for r in replies] == [1.0] * 20  # not 0, and not safe: as if they were not there
    assert sum(r["extra_logs"]["failed_rollout"] for r in replies) == 10
    bad = [row["components"]["guard"] for row in rows(tmp_path) if row["error"]]
    assert {component["value"] for component in bad} == {None}
    assert all("I am a teapot" in component["error"] for component in bad)
