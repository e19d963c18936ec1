"""Rewards that hang or kill their process, a service that is killed: what is lost, what is counted, what is said."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

import calls
import httpx
import psutil
import pytest
from calls import SUM, good, health, post, rows, service

from lrmctl.errors import RewardError

pytestmark = pytest.mark.usefixtures("odd_rewards")

NEUTRAL = {"on_failure": "neutral", "max_failure_rate": 0.5}


def poisoned(n: int, *at: int) -> list[dict[str, list[str]]]:
    return [good(SUM, f"poison {i}" if i in at else f"fine {i}") for i in range(n)]


@pytest.mark.e2e
@pytest.mark.timeout(300)  # less than it hangs
@pytest.mark.parametrize("does", ["sleep", "regex"])
def test_a_rollout_that_hangs_is_ended_and_the_others_have_their_rewards(tmp_path: Path, does: str) -> None:
    odd = {"use": "odd-on", "options": {"text": "poison", "does": does}}
    with service(tmp_path, {"use": "format"}, odd, time_limit=0.5, **NEUTRAL) as s:
        post(s.url, [good(SUM, "4")])
        replies = post(s.url, poisoned(20, 7))
        assert (s.failure(), s.counts()) == (None, {"rollouts": 21, "failed": 1})
        post(s.url, poisoned(20, 7)[7:8])  # it is known, and not tried a third time
        assert health(s)["worker_restarts"] == 2
    assert [r["rewards"] for r in replies] == [1.0] * 20  # the one that failed has the mean of the others
    failed = [r for r in rows(tmp_path) if r["error"]]
    assert [r["error"] for r in failed] == ["prompt 'r': no reward from odd-on within 0.5 s"] * 2
    assert {r["answer"] for r in failed} == {"poison 7"}


@pytest.mark.e2e
@pytest.mark.parametrize(("does", "says"), [("exit", "ended with exit code 7"), ("segfault", "was killed by SIGSEGV")])
def test_a_rollout_that_kills_its_process_has_failed_and_the_others_have_their_rewards(
    tmp_path: Path, does: str, says: str
) -> None:
    odd = {"use": "odd-on", "options": {"text": "poison", "does": does}}
    with service(tmp_path, odd, **NEUTRAL) as s:
        replies = post(s.url, poisoned(30, 3, 21))
        assert (s.failure(), s.counts()) == (None, {"rollouts": 30, "failed": 2})
    assert [r["rewards"] for r in replies] == [1.0] * 30
    assert {r["error"] for r in rows(tmp_path) if r["error"]} == {f"prompt 'r': the process that scored it {says}"}


@pytest.mark.e2e
def test_a_batch_that_is_only_slow_has_its_rewards_and_later_ones_are_smaller(tmp_path: Path) -> None:
    slow = {"use": "odd-slow-each", "options": {"seconds": 0.05}}
    with service(tmp_path, slow, time_limit=0.5) as s:
        assert [r["rewards"] for r in post(s.url, poisoned(20))] == [1.0] * 20
        assert (s.failure(), s.counts()["failed"]) == (None, 0)
        assert health(s)["max_batch"] == 32


@pytest.mark.e2e
def test_a_rollout_whose_caller_gave_up_is_written_when_it_comes_again(tmp_path: Path) -> None:
    slow = {"use": "odd-slow", "options": {"seconds": 0.8}}
    with service(tmp_path, slow) as s:
        post(s.url, poisoned(1))
        with pytest.raises(httpx.TimeoutException):
            httpx.post(s.url, json=poisoned(1)[0], timeout=0.3)
        post(s.url, poisoned(1))
        assert s.counts() == {"rollouts": 2, "failed": 0}
        assert health(s)["waiting"] == 0
    assert len(rows(tmp_path)) == 2


def test_loading_is_not_on_the_clock(tmp_path: Path) -> None:
    with service(tmp_path, {"use": "odd-loading", "options": {"seconds": 1.0}}, time_limit=0.3) as s:
        assert post(s.url, poisoned(2))[0]["rewards"] == 1.0
        assert s.failure() is None


def test_a_reward_that_cannot_be_loaded_ends_the_run_with_its_own_words(tmp_path: Path) -> None:
    with service(tmp_path, {"use": "odd-loading", "options": {"does": "raise"}}) as s:
        (reply,) = post(s.url, poisoned(1))
        assert "OSError: guard-1b is not on this disk" in str(s.failure())
    assert reply["rewards"] == 0.0
    assert rows(tmp_path) == []


@pytest.mark.e2e
def test_a_reward_that_kills_every_process_it_is_loaded_in_ends_the_run(tmp_path: Path) -> None:
    log = tmp_path / "rewards.log"
    with service(tmp_path, {"use": "odd-loading", "options": {"does": "exit"}}, log=log) as s:
        post(s.url, poisoned(1))
        assert "ended with exit code 7 while the reward was loading" in str(s.failure())
    assert "last words" in log.read_text()


@pytest.mark.e2e
def test_a_service_that_is_killed_comes_back_and_nothing_is_lost(tmp_path: Path) -> None:
    odd = {"use": "odd-on", "options": {"text": "poison", "does": "exit"}}
    with service(tmp_path, odd, samples={"train": 20}, **NEUTRAL) as s:
        post(s.url, poisoned(20, 4))
        first = s.pid
        killer = threading.Timer(0.3, os.kill, (first, signal.SIGKILL))
        killer.start()
        replies = post(s.url, poisoned(380), at_once=32, tries=5)
        killer.join()
        assert s.pid != first
        counts, failure = s.counts(), s.failure()
    assert failure is None
    assert [r["rewards"] for r in replies] == [1.0] * 380
    written = rows(tmp_path)
    assert [r["n"] for r in written] == list(range(1, len(written) + 1))
    assert counts == {"rollouts": len(written), "failed": 1}  # what failed before is not forgotten
    # a call whose row was written and whose reply was not sent is made again: its row is there twice
    answers = [r["answer"] for r in written]
    assert len(set(answers)) == 380 + 1  # 19 of the first call are among the 380
    assert Counter(r["sample"] for r in written[:400]) == dict.fromkeys(range(20), 20)


def test_a_service_that_dies_again_and_again_ends_the_run(tmp_path: Path) -> None:
    with service(tmp_path, {"use": "format"}) as s:
        deadline = time.monotonic() + 30
        while s.failure() is None and time.monotonic() < deadline:
            with suppress(OSError):
                os.kill(s.pid, signal.SIGKILL)
            time.sleep(0.02)
        error = s.failure()
    assert isinstance(error, RewardError)
    assert "the reward service was killed by SIGKILL, 5 times" in error.what


PARENT = """
import sys, time
from pathlib import Path
sys.path.insert(0, {here!r})
from calls import service
with service(Path({folder!r}), {{"use": "odd-on", "options": {{"text": "poison", "does": "regex"}}}}) as s:
    print(s.url, flush=True)
    time.sleep(60)
"""


@pytest.mark.e2e
def test_nothing_is_left_when_the_parent_is_killed_even_of_a_scorer_that_hangs(tmp_path: Path) -> None:
    code = PARENT.format(here=str(Path(calls.__file__).parent), folder=str(tmp_path))
    path = os.pathsep.join(p for p in sys.path if p)
    env = {**os.environ, "PYTHONPATH": path}
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=env) as parent:
        assert parent.stdout is not None
        url = parent.stdout.readline().strip()
        httpx.post(url, json=good(SUM, "fine"), timeout=30)
        with suppress(httpx.TimeoutException):
            httpx.post(url, json=good(SUM, "poison"), timeout=1)
        children = psutil.Process(parent.pid).children(recursive=True)
        assert {"lrmctl-reward-service", "lrmctl-scorer"} <= {p.cmdline()[3] for p in children}
        parent.kill()
    _, alive = psutil.wait_procs(children, timeout=10)
    assert alive == []
