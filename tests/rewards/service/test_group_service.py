"""The service where rewards depend on the other samples of a prompt, over real HTTP."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import psutil
import pytest
from calls import good, health, post, rows, service

from lrmctl.backends.openrlhf.cpu import cpu_env
from lrmctl.rewards.service.protocol import numbered
from lrmctl.types import Prompt

N = 4
OWN = """
import pathlib
import time

HERE = pathlib.Path(__file__).parent


def value(trace):
    (HERE / "scored.txt").open("a").write(trace.answer + "\\n")
    return float(trace.answer.split()[0])


def above(group):
    if any("poison" in trace.answer for trace in group):
        raise ValueError("cannot compare")
    if any("sleep" in trace.answer for trace in group):
        time.sleep(3600)
    values = [float(trace.answer.split()[0]) for trace in group]
    return [sum(v > other for other in values) / (len(values) - 1) for v in values]


def picky(trace):
    if "odd" in trace.answer:
        raise ValueError("cannot read it")
    return 10.0
"""


@pytest.fixture
def own(tmp_path: Path) -> Callable[..., Any]:
    """A service of functions in a file, by their names."""
    (tmp_path / "own.py").write_text(OWN)

    def start(*names: str, **rest: Any) -> Any:
        words = {"samples": {"train": N, "eval": 1}, **rest}
        return service(tmp_path, *({"fn": f"{tmp_path / 'own.py'}:{name}"} for name in names), **words)

    return start


def calls(name: str, *answers: Any, row: int = 0, metric: str = "") -> list[dict[str, list[str]]]:
    prompt = Prompt.user(name, f"question {name}", "harmful")
    made = [good(prompt, str(answer), metric) for answer in answers]
    return [{**c, "labels": [numbered(c["labels"][0], row)]} for c in made]


class Posted:
    """Calls under way in a thread."""

    def __init__(self, url: str, made: Sequence[dict[str, Any]], tries: int = 1) -> None:
        self._result: list[Any] = []
        self._thread = threading.Thread(target=lambda: self._result.append(post(url, made, len(made), tries)))
        self._thread.start()

    @property
    def is_done(self) -> bool:
        return not self._thread.is_alive()

    def replies(self) -> list[dict[str, Any]]:
        self._thread.join(120)
        assert self._result, "no reply"
        found: list[dict[str, Any]] = self._result[0]
        return found

    def rewards(self) -> list[float]:
        return [float(reply["rewards"]) for reply in self.replies()]


def wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert holds()


def test_groups_that_arrive_interleaved_and_out_of_order_are_compared_each_by_itself(own, tmp_path):
    made = [(f"p{p}", v + 10 * p) for p in range(5) for v in range(N)]
    random.Random(3).shuffle(made)
    with own("value", "above") as s:
        replies = post(s.url, [calls(name, v, row=int(name[1]))[0] for name, v in made], at_once=len(made))
        assert s.failure() is None
    assert [r["rewards"] for r in replies] == [pytest.approx(v + v % 10 / 3, abs=1e-4) for _, v in made]
    assert all(r["extra_logs"]["applies_above"] == 1.0 for r in replies)
    written = rows(tmp_path)
    assert len(written) == 20
    for row in written:
        assert row["components"]["value"]["value"] == float(row["answer"])
        assert row["components"]["above"]["value"] == pytest.approx(float(row["answer"]) % 10 / 3)
    assert {(r["group"], r["sample"]) for r in written} == {(f"p{p}#1", i) for p in range(5) for i in range(N)}


def test_other_components_score_a_sample_on_arrival_while_it_waits_for_its_group(own, tmp_path):
    with own("value", "above") as s:
        first = Posted(s.url, calls("p", 1, 2, 3))
        scored = tmp_path / "scored.txt"
        wait_until(lambda: scored.exists() and len(scored.read_text().split()) == 3)
        assert health(s)["waiting"] == 3
        assert not first.is_done
        assert rows(tmp_path) == []
        last = post(s.url, calls("p", 0))
        assert first.rewards() == pytest.approx([1 + 1 / 3, 2 + 2 / 3, 4.0], abs=1e-4)
        assert last[0]["rewards"] == 0.0
        assert health(s)["waiting"] == 0
    assert len(scored.read_text().split()) == 4  # nothing was scored twice


def test_a_prompt_of_a_later_epoch_and_another_row_are_groups_of_their_own(own, tmp_path):
    with own("above") as s:
        for values in ([0, 1, 2, 3], [9, 8, 7, 6]):
            rewards = [r["rewards"] for r in post(s.url, calls("p", *values))]
            assert rewards == pytest.approx([sorted(values).index(v) / 3 for v in values], abs=1e-4)
        both = [c for pair in zip(calls("p", 0, 1, 2, 3), calls("p", 3, 2, 1, 0, row=1), strict=True) for c in pair]
        assert [r["rewards"] for r in post(s.url, both)] == pytest.approx(
            [0, 1, 1 / 3, 2 / 3, 2 / 3, 1 / 3, 1, 0], abs=1e-4
        )
    assert {r["group"] for r in rows(tmp_path)} == {"p#1", "p#2", "p#3", "p#4"}


def test_a_missing_member_is_waited_for_and_compared_when_it_comes_late(own, tmp_path):
    with own("above", service={"group_wait": 1.0}) as s:
        three = [r["rewards"] for r in post(s.url, calls("p", 1, 2, 3))]
        assert three == [0.0, 0.5, 1.0]  # among three
        (late,) = post(s.url, calls("p", 2.5))
        assert late["rewards"] == pytest.approx(2 / 3, abs=1e-4)  # among all four
        assert s.failure() is None
        again = [r["rewards"] for r in post(s.url, calls("p", 1, 2, 3, 4))]
        assert again == pytest.approx([0.0, 1 / 3, 2 / 3, 1.0], abs=1e-4)
    assert [(r["group"], r["sample"]) for r in rows(tmp_path)][:4] == [("p#1", i) for i in range(4)]


def test_a_sample_whose_group_never_comes_has_failed_and_the_error_says_why(own, tmp_path):
    with own("above", service={"group_wait": 0.5}) as s:
        post(s.url, calls("p", 1))
        assert "prompt 'p': no other sample of the prompt has come within 0.5 s" in str(s.failure())
    with own("above", "value", service={"group_wait": 0.5}, on_failure="neutral", max_failure_rate=1.0) as s:
        post(s.url, calls("q", 1))
        assert s.failure() is None
        (late,) = post(s.url, calls("q", 3))
        assert late["rewards"] == 4.0  # compared with the first after all
    assert "no other sample of the prompt" in rows(tmp_path)[1]["error"]


def test_evaluation_with_one_sample_compares_nothing_and_waits_for_nobody(own, tmp_path):
    with own("value", "above") as s:
        (reply,) = post(s.url, calls("p", 5, metric="reward"))
    assert reply["rewards"] == 5.0
    assert list(rows(tmp_path)[0]["components"]) == ["value"]


def test_evaluation_with_several_samples_compares_them_apart_from_training(own):
    with own("above", samples={"train": 2, "eval": 2}) as s:
        mixed = [*calls("p", 1), *calls("p", 4, metric="reward"), *calls("p", 2), *calls("p", 3, metric="reward")]
        assert [r["rewards"] for r in post(s.url, mixed)] == [0.0, 1.0, 1.0, 0.0]


@pytest.mark.e2e
def test_a_service_that_is_killed_in_the_middle_of_a_group_gathers_it_again(own, tmp_path):
    with own("value", "above") as s:
        done = post(s.url, calls("before", 0, 1, 2, 3))
        waiting = Posted(s.url, calls("p", 1, 2, 3, row=1), tries=60)
        wait_until(lambda: health(s)["waiting"] == 3)
        os.kill(s.pid, signal.SIGKILL)
        (last,) = post(s.url, calls("p", 0, row=1), tries=60)
        assert waiting.rewards() == pytest.approx([1 + 1 / 3, 2 + 2 / 3, 4.0], abs=1e-4)
        assert (last["rewards"], s.failure()) == (0.0, None)
    assert len(done) == 4
    written = rows(tmp_path)
    assert len(written) == 8
    assert {(r["group"], r["sample"]) for r in written[4:]} == {("p#1", i) for i in range(4)}


@pytest.mark.e2e
def test_a_scorer_that_dies_costs_a_waiting_group_nothing(own):
    with own("value", "above") as s:
        waiting = Posted(s.url, calls("p", 1, 2, 3))
        wait_until(lambda: health(s)["waiting"] == 3)
        for scorer in psutil.Process(s.pid).children():
            scorer.kill()
        wait_until(lambda: health(s)["worker_restarts"] == 1)
        assert post(s.url, calls("p", 0))[0]["rewards"] == 0.0
        assert waiting.rewards() == pytest.approx([1 + 1 / 3, 2 + 2 / 3, 4.0], abs=1e-4)
        assert s.failure() is None


def test_a_comparison_that_raises_fails_its_group_alone(own, tmp_path):
    with own("value", "above", on_failure="neutral", max_failure_rate=1.0) as s:
        both = [*calls("p", 1, 2, "3 poison", 4), *calls("q", 0, 1, 2, 3, row=1)]
        replies = post(s.url, both)
        assert s.failure() is None
    assert [r["extra_logs"]["failed_rollout"] for r in replies] == [1.0] * 4 + [0.0] * 4
    assert len({r["rewards"] for r in replies[:4]}) == 1  # nothing is learned from them
    failed = [r for r in rows(tmp_path) if r["error"]]
    assert {r["error"] for r in failed} == {"above: ValueError: cannot compare (own.py:15)"}
    assert [r["components"]["value"]["value"] for r in failed] == [1.0, 2.0, 3.0, 4.0]


def test_a_comparison_that_raises_ends_the_run_where_failures_are_not_tolerated(own):
    with own("above") as s:
        replies = post(s.url, [*calls("p", 1, 2, 3, "4 poison"), *calls("q", 1, row=1)])
        assert "reward 'above' failed on prompt 'p': ValueError: cannot compare" in str(s.failure())
    assert len(replies) == 5  # the sample of the other group was answered too


@pytest.mark.e2e
def test_a_comparison_that_hangs_is_ended_and_named(own, tmp_path):
    words = {"on_failure": "neutral", "max_failure_rate": 1.0, "time_limit": 2.0}
    with own("value", "above", **words) as s:
        replies = post(s.url, [*calls("p", 1, 2, "3 sleep", 4), *calls("q", 0, 1, 2, 3, row=1)])
        assert s.failure() is None
    assert [r["extra_logs"]["failed_rollout"] for r in replies] == [1.0] * 4 + [0.0] * 4
    errors = {r["error"] for r in rows(tmp_path) if r["error"]}
    assert errors == {"above: no reward from above within 2 s"}


def test_a_failed_sample_is_compared_too_and_gets_the_mean_of_the_others(own, tmp_path):
    with own("above", "picky", on_failure="neutral", max_failure_rate=1.0) as s:
        rewards = [r["rewards"] for r in post(s.url, calls("p", 1, 2, 3, "4 odd"))]
    assert rewards[:3] == pytest.approx([10.0, 10 + 1 / 3, 10 + 2 / 3], abs=1e-4)
    assert rewards[3] == pytest.approx(10 + 1 / 3, abs=1e-4)
    (failed,) = [r for r in rows(tmp_path) if r["error"]]
    assert failed["components"]["above"]["value"] == 1.0


def test_a_failure_that_ends_the_run_does_not_wait_for_the_group(own):
    with own("above", "picky") as s:
        waiting = Posted(s.url, calls("p", 1, 2))
        wait_until(lambda: health(s)["waiting"] == 2)
        post(s.url, calls("p", "3 odd"))
        assert "reward 'picky' failed" in str(s.failure())
        assert waiting.rewards() == [0.0, 0.0]


def test_a_call_that_cannot_be_read_does_not_keep_its_group_waiting(own):
    group = calls("p", 1, 2, 3, 4)
    group[3]["query"] = ["something else"]
    with own("above", on_failure="neutral", max_failure_rate=1.0) as s:
        assert [r["rewards"] for r in post(s.url, group)] == [0.0, 0.5, 1.0, 0.5]


SPREAD = """
def small(trace):
    return float(trace.answer.split()[0])


def large(trace):
    return 1000.0 * float(trace.answer.split()[1])
"""
GROUPS = ((("0 3"), ("1 1"), ("0 2"), ("1 0")), (("5 0"), ("5 0"), ("5 1"), ("5 9")))


def trl(groups: Any, weights: Any) -> list[float]:
    """`normalize_then_sum` of TRL 0.29's GRPOTrainer: `groups` [prompts, samples, components] -> advantages."""
    import torch

    table = torch.tensor(groups)
    z = (table - table.mean(1, keepdim=True)) / (table.std(1, keepdim=True) + 1e-4)
    sums = (z.view(-1, len(weights)) * torch.tensor(weights)).sum(1)
    return [float(a) for a in (sums - sums.mean()) / (sums.std() + 1e-4)]


@pytest.mark.e2e
@pytest.mark.slow
def test_with_component_group_openrlhf_makes_the_advantages_of_gdpo(tmp_path):
    (tmp_path / "own.py").write_text(SPREAD)
    weights = (1.0, 0.5)
    components = [
        {"fn": f"{tmp_path / 'own.py'}:{n}", "weight": w} for n, w in zip(("small", "large"), weights, strict=True)
    ]
    with service(tmp_path, *components, normalise="component-group", samples={"train": N}) as s:
        made = [c for row, group in enumerate(GROUPS) for c in calls(f"p{row}", *group, row=row)]
        rewards = [r["rewards"] for r in post(s.url, made)]
        (evaluated,) = post(s.url, calls("p0", "1 1", metric="reward"))
    assert evaluated["rewards"] == 501.0  # evaluation is not normalised
    assert all(r["total"] == sum(c["weighted"] for c in r["components"].values()) for r in rows(tmp_path))
    expected = trl([[[float(a.split()[0]), 1000 * float(a.split()[1])] for a in g] for g in GROUPS], weights)
    cases = [
        {"estimator": name, "samples": N, "rewards": rewards}
        for name in ("reinforce_baseline", "dr_grpo", "group_norm")
    ]
    divided, plain, twice = openrlhf(cases)
    n = len(expected)
    unbiased = (n / (n - 1)) ** 0.5  # OpenRLHF divides by n, TRL by n - 1
    assert divided == pytest.approx([a * unbiased for a in expected], abs=2e-3)
    assert [a / b for a, b in zip(plain, divided, strict=True) if abs(b) > 0.1] == pytest.approx(
        [plain[0] / divided[0]] * n, abs=1e-2
    )
    assert twice != pytest.approx([a * unbiased for a in expected], abs=0.05)


def openrlhf(cases: Sequence[Any]) -> list[list[float]]:
    program = Path(__file__).parent / "openrlhf_advantages.py"
    done = subprocess.run(
        [sys.executable, str(program)],
        input=json.dumps(list(cases)),
        capture_output=True,
        text=True,
        env={**os.environ, **cpu_env("fp32")},
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    found: list[list[float]] = json.loads(done.stdout.splitlines()[-1])
    return found
