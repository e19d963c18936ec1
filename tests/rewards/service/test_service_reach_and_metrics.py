"""Who may call, how much the service takes, what it shows of itself, and how rows say what belongs together."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from calls import SUM, good, health, post, rows, service
from prometheus_client.parser import text_string_to_metric_families

from lrmctl._util.jsonl import JsonlAppender
from lrmctl.errors import LrmctlError
from lrmctl.rewards.service.groups import Groups, RewardReply
from lrmctl.rewards.service.server import RewardService
from lrmctl.runs.jsonl import read_jsonl
from lrmctl.types import Prompt

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("odd_rewards")]

FORMAT = {"use": "format"}
BENIGN = Prompt.user("b", "How do I pick a puzzle box?", "benign")


@pytest.mark.e2e
def test_a_token_is_taken_from_the_header_or_the_path_and_nothing_goes_without(tmp_path: Path) -> None:
    with service(tmp_path, FORMAT, token="a-secret") as s:
        assert s.url == f"{s.base}/a-secret/reward"
        body = good(SUM, "4")

        def status(path: str, header: str = "") -> int:
            headers = {"Authorization": header} if header else {}
            return httpx.post(s.base + path, json=body, headers=headers, timeout=30).status_code

        assert [status("/a-secret/reward"), status("/reward", "Bearer a-secret")] == [200, 200]
        wrong = ["/reward", "/another/reward", "/a-secre/reward", "/", "/a-secret-and-more/reward", "/\u00fc/reward"]
        assert {status(path) for path in wrong} == {401}
        assert {status("/reward", header) for header in ("a-secret", "Bearer", "Bearer x", "Basic a-secret")} == {401}
        assert (
            httpx.get(f"{s.base}/healthz", timeout=60).status_code
            == httpx.get(f"{s.base}/metrics", timeout=60).status_code
            == 401
        )
        assert (
            httpx.get(f"{s.base}/metrics", headers={"Authorization": "bearer a-secret"}, timeout=60).status_code == 200
        )
        assert status("/a-secret/nothing") == 404
    assert len(rows(tmp_path)) == 2


@pytest.mark.e2e
def test_health_says_whether_it_can_score(tmp_path: Path) -> None:
    with service(tmp_path, {"use": "odd-loading", "options": {"seconds": 1.0}}, {"use": "odd-raising"}) as s:
        assert httpx.get(s.url.replace("/reward", "/healthz"), timeout=30).status_code == 503
        assert health(s)["status"] == "loading"
        while health(s)["status"] == "loading":
            time.sleep(0.05)
        facts = health(s)
        assert (facts["status"], facts["workers"], facts["components"]) == ("ok", 1, ["odd-loading", "odd-raising"])
        post(s.url, [good(SUM, "4")])
        facts = health(s)
        assert (facts["status"], facts["rollouts"], facts["failed"], facts["waiting"]) == ("failed", 1, 1, 0)
        assert "guard model is gone" in facts["error"]


@pytest.mark.e2e
def test_more_rollouts_than_may_wait_are_turned_away_and_told_when_to_come_back(tmp_path: Path) -> None:
    slow = {"use": "odd-slow", "options": {"seconds": 1.0}}

    async def flood(url: str) -> list[httpx.Response]:
        async with httpx.AsyncClient(timeout=30) as client:
            return list(await asyncio.gather(*(client.post(url, json=good(SUM, f"{i}")) for i in range(12))))

    with service(tmp_path, slow, max_waiting=4) as s:
        replies = asyncio.run(flood(s.url))
        assert sorted(r.status_code for r in replies) == [200] * 4 + [503] * 8
        assert {r.headers["retry-after"] for r in replies if r.status_code == 503} == {"1"}
        assert s.counts() == {"rollouts": 4, "failed": 0}


def test_a_call_that_is_too_large_is_not_read_and_ends_nothing(tmp_path: Path) -> None:
    with service(tmp_path, FORMAT, max_body=5000) as s:
        assert httpx.post(s.url, json=good(SUM, "x" * 100_000), timeout=30).status_code == 413
        post(s.url, [good(SUM, "4")])
        assert s.counts() == {"rollouts": 1, "failed": 0}


def samples(text: str) -> dict[str, float]:
    return {
        f"{sample.name}{''.join(f'|{v}' for v in sample.labels.values())}": sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_metrics_are_prometheus_and_say_what_happened(tmp_path: Path) -> None:
    odd = {"use": "odd-raising-on", "name": "guard", "options": {"text": "poison"}}
    calls = [good(SUM, "poison" if i == 7 else f"fine {i}") for i in range(10)] + [good(BENIGN, "no", metric="reward")]
    words: dict[str, Any] = {"on_failure": "neutral", "max_failure_rate": 0.5, "samples": {"train": 5, "eval": 1}}
    with service(tmp_path, FORMAT, odd, **words) as s:
        post(s.url, calls)
        reply = httpx.get(s.url.replace("/reward", "/metrics"), timeout=60)
    assert reply.headers["content-type"].startswith("text/plain")
    figures = samples(reply.text)
    assert figures["lrmctl_rollouts_total|reasoning|scored|train"] == 9
    assert figures["lrmctl_rollouts_total|reasoning|failed|train"] == 1
    assert figures["lrmctl_rollouts_total|benign|scored|eval"] == 1
    assert figures["lrmctl_reward_failures_total|guard"] == 1
    assert figures["lrmctl_reward_component_values|guard"] == 10
    assert figures["lrmctl_reward_component_count|guard"] == 10
    assert figures["lrmctl_reward_count|reasoning"] == 9
    assert figures["lrmctl_reward_seconds_count"] == 11
    assert figures["lrmctl_reward_batch_size_sum"] == 11
    assert figures["lrmctl_rollouts_waiting"] == 0
    assert figures["lrmctl_reward_workers"] == 1
    assert (figures["lrmctl_groups_total"], figures["lrmctl_groups_without_variance_total"]) == (2, 2)


@pytest.mark.e2e
def test_samples_of_a_prompt_are_numbered_within_their_group(tmp_path: Path) -> None:
    other = Prompt.user("s", "What is 3 + 3?", "reasoning", reference="6")
    with service(tmp_path, FORMAT, samples={"train": 2, "eval": 1}) as s:
        post(s.url, [good(p, "4") for p in (SUM, other, SUM, SUM, other)], at_once=1)
        post(s.url, [good(SUM, "4", metric="reward")])
        os.kill(s.pid, signal.SIGKILL)  # what was begun is gone on with
        post(s.url, [good(SUM, "4")], tries=5)
    placed = [(r["group"], r["sample"], r["phase"]) for r in rows(tmp_path)]
    assert placed == [
        ("r#1", 0, "train"),
        ("s#1", 0, "train"),
        ("r#1", 1, "train"),
        ("r#2", 0, "train"),
        ("s#1", 1, "train"),
        ("r#3", 0, "eval"),
        ("r#2", 1, "train"),
    ]


def test_groups_whose_rewards_differ_are_not_flat() -> None:
    groups = Groups({"train": 2})
    for total in (1.0, 0.0, 0.5, 0.5, None, 1.0):
        group, _ = groups.place("train", "p")
        if total is not None:
            group.scored(RewardReply(total, total), total)
        if group.complete:
            groups.close("train", "p", None, group)
    assert (groups.complete, groups.flat) == (3, 2)


def test_rows_say_what_the_trainer_got_and_what_it_was_before(tmp_path: Path) -> None:
    odd = {"use": "odd-raising-on", "options": {"text": "poison"}}
    with service(tmp_path, FORMAT, odd, on_failure="neutral", max_failure_rate=0.9) as s:
        post(s.url, [good(SUM, "4"), good(SUM, "poison")], at_once=1)
    assert [(r["reward"], r["total"]) for r in rows(tmp_path)] == [(1.0, 1.0), (1.0, None)]


def test_waiting_for_the_disk_is_a_choice(tmp_path: Path) -> None:
    with service(tmp_path, FORMAT, service={"fsync": True}) as s:
        post(s.url, [good(SUM, "4")] * 3)
    assert len(rows(tmp_path)) == 3


WRITER = """
import sys
from pathlib import Path
from lrmctl._util.jsonl import JsonlAppender
with JsonlAppender(Path(sys.argv[1])) as out:
    while True:
        out.write_all([{"n": out.rows + 1 + i, "text": "\\u00fc" * 200_000} for i in range(8)])
        print("written", flush=True)
"""


def test_a_writer_that_is_killed_while_it_writes_leaves_no_row_that_is_misread(tmp_path: Path) -> None:
    file = tmp_path / "rollouts.jsonl"
    for attempt in range(6):
        with subprocess.Popen([sys.executable, "-c", WRITER, str(file)], stdout=subprocess.PIPE) as writer:
            assert writer.stdout is not None
            writer.stdout.readline()
            time.sleep(0.05 + 0.007 * attempt)
            writer.kill()
        found = [row["n"] for row in read_jsonl(file)]
        assert found == list(range(1, len(found) + 1))
        assert len(found) > 0
        with JsonlAppender(file) as out:
            assert out.rows == len(found)
        file.write_bytes(b"".join(file.read_bytes().splitlines(keepends=True)[:5]))  # or the file would grow for ever
    with file.open("ab") as half:
        half.write(json.dumps({"n": 0}).encode()[:-1])
    assert [row["n"] for row in read_jsonl(file)] == [1, 2, 3, 4, 5]


def test_a_port_that_others_reach_has_a_token_of_its_own_making(tmp_path: Path) -> None:
    made: RewardService = service(tmp_path, FORMAT, host="0.0.0.0")
    given: RewardService = service(tmp_path, FORMAT, host="0.0.0.0", token="mine")
    assert len(made.token) > 20
    assert given.token == "mine"


@pytest.mark.parametrize("token", ["a/b", "a b", "\u00fc", "a?b"])
def test_a_token_that_cannot_stand_in_a_path_is_refused(tmp_path: Path, token: str) -> None:
    with pytest.raises(LrmctlError, match="token"):
        service(tmp_path, FORMAT, token=token)


def test_judges_say_what_they_were_asked_and_what_they_remembered(tmp_path: Path) -> None:
    harmful = Prompt.user("h", "How do I pick a bank vault?", "harmful", meta={"object": "a bank vault"})
    with service(tmp_path, {"use": "judged-safe", "options": {"judge": "lab"}}) as s:
        post(s.url, [good(harmful, "I cannot help with that. It is not safe.")] * 3, at_once=1)
        figures = samples(httpx.get(s.url.replace("/reward", "/metrics"), timeout=60).text)
        (judge,) = health(s)["judges"]
    asked = next(value for name, value in figures.items() if name.startswith("lrmctl_judge_asked_total|lab"))
    hits = next(value for name, value in figures.items() if name.startswith("lrmctl_judge_hits_total|lab"))
    assert (asked, hits) == (judge["asked"], judge["hits"]) == (6, 4)  # thinking and answer of each
