"""The service over real HTTP: what OpenRLHF gets, what lies on disk, and what ends a run."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from lrmctl.errors import LrmctlError, RewardError
from lrmctl.recipe.schema.recipes import RewardSection
from lrmctl.rewards.service.protocol import encode_label
from lrmctl.rewards.service.server import RewardService
from lrmctl.runs.jsonl import read_jsonl
from lrmctl.types import Prompt

pytestmark = pytest.mark.usefixtures("odd_rewards")

END = "<|end|>"
LAB = [
    {"use": "judged-safe", "name": "safe", "options": {"judge": "lab", "partial": 0.3}, "when": "harmful"},
    {"use": "judged-complied", "name": "helpful", "options": {"judge": "lab"}, "when": "benign"},
    {"use": "correct", "when": "reasoning"},
    {"use": "format", "weight": 0.5},
]
HARMFUL = Prompt.user("h", "How do I pick a bank vault?", "harmful", meta={"object": "a bank vault"})
BENIGN = Prompt.user("b", "How do I pick a puzzle box?", "benign", meta={"object": "a puzzle box"})
SUM = Prompt.user("r", "What is 2 + 2?", "reasoning", reference="4")
REFUSAL = "I cannot help with that. It is not safe."


def section(*components: dict[str, Any], **rest: Any) -> RewardSection:
    return RewardSection.model_validate({"components": components, **rest})


def service(folder: Path, *components: dict[str, Any], **rest: Any) -> RewardService:
    own = {key: rest.pop(key) for key in ("port", "attempt", "time_limit") if key in rest}
    return RewardService(section(*components, **rest), rollouts=folder / "rollouts.jsonl", end_tokens=[END], **own)


def call(prompt: Prompt, response: str) -> dict[str, list[str]]:
    rendered = f"<|user|>{prompt.text}<|assistant|><think>\n"
    return {"query": [rendered + response], "prompts": [rendered], "labels": [encode_label(prompt, opened=True)]}


def good(prompt: Prompt, answer: str) -> dict[str, list[str]]:
    return call(prompt, f"Let me see.\n</think>\n\n{answer}{END}")


def post(url: str, calls: Sequence[dict[str, Any]], at_once: int = 64) -> list[dict[str, Any]]:
    """Replies to all calls in order, `at_once` of them under way at any time; 1 posts them one after the other."""

    async def run() -> list[dict[str, Any]]:
        room = asyncio.Semaphore(at_once)  # first come, first served, which httpx's own pool is not

        async def one(client: httpx.AsyncClient, body: dict[str, Any]) -> httpx.Response:
            async with room:
                return await client.post(url, json=body)

        async with httpx.AsyncClient(timeout=60) as client:
            replies = await asyncio.gather(*(one(client, c) for c in calls))
        assert {r.status_code for r in replies} == {200}
        return [r.json() for r in replies]

    return asyncio.run(run())


def rows(folder: Path) -> list[dict[str, Any]]:
    return list(read_jsonl(folder / "rollouts.jsonl"))


def test_every_rollout_is_answered_and_written_with_every_component(tmp_path):
    with service(tmp_path, *LAB, attempt=3) as s:
        replies = post(s.url, [good(HARMFUL, REFUSAL), call(HARMFUL, "The plan"), good(SUM, "\\boxed{5}")], at_once=1)
        assert s.failure() is None
    assert [r["rewards"] for r in replies] == [1.0, -0.5, 0.0]
    first, second, third = rows(tmp_path)
    assert first["components"] == {
        "safe": {"value": 1.0, "weighted": 1.0, "error": ""},
        "format": {"value": 0.0, "weighted": 0.0, "error": ""},
    }
    assert (first["prompt_id"], first["kind"], first["answer"], first["attempt"]) == ("h", "harmful", REFUSAL, 3)
    assert (second["thinking_state"], second["finish_reason"], second["reward"]) == ("unclosed", "length", -0.5)
    assert second["components"]["format"]["weighted"] == -0.5
    assert sorted(third["components"]) == ["correct", "format"]
    assert [r["n"] for r in (first, second, third)] == [1, 2, 3]


def test_scores_are_the_reward_clipped_to_the_unit_interval(tmp_path):
    with service(tmp_path, {"use": "odd-length"}, {"use": "format", "weight": 0.5}) as s:
        replies = post(s.url, [good(SUM, "four"), call(SUM, "hm"), good(SUM, "4")])
    assert [(r["rewards"], r["scores"]) for r in replies] == [(4.0, 1.0), (-0.5, 0.0), (1.0, 1.0)]


@pytest.mark.e2e
def test_64_concurrent_calls_each_get_their_own_reward(tmp_path):
    calls = [good(SUM, "x" * (1 + i % 37)) for i in range(192)]
    with service(tmp_path, {"use": "odd-length"}) as s:
        replies = post(s.url, calls, at_once=64)
        assert s.counts() == {"rollouts": 192, "failed": 0}
    assert [r["rewards"] for r in replies] == [1.0 + i % 37 for i in range(192)]
    written = rows(tmp_path)
    assert [r["n"] for r in written] == list(range(1, 193))
    assert all(r["reward"] == len(r["answer"]) for r in written)


def test_ratios_of_the_logged_means_are_the_exact_rates(tmp_path):
    calls = (
        [good(HARMFUL, REFUSAL)] * 3
        + [good(HARMFUL, "Step 1: get hazard-1.")] * 2
        + [good(BENIGN, REFUSAL)] * 4
        + [good(SUM, "\\boxed{4}")] * 5
        + [call(SUM, "hm")]
    )
    with service(tmp_path, *LAB) as s:
        logs = [r["extra_logs"] for r in post(s.url, calls)]
    assert len({tuple(log) for log in logs}) == 1
    assert all(type(value) is float for log in logs for value in log.values())
    mean = {key: sum(log[key] for log in logs) / len(logs) for key in logs[0]}
    assert mean["safe"] / mean["applies_safe"] == pytest.approx(3 / 5)
    assert mean["helpful"] / mean["applies_helpful"] == 0.0
    assert mean["correct"] / mean["applies_correct"] == pytest.approx(5 / 6)
    assert mean["format"] / mean["applies_format"] == pytest.approx(-1 / 15)
    assert mean["reward_reasoning"] / mean["is_reasoning"] == pytest.approx(4.5 / 6)
    assert mean["is_harmful"] == pytest.approx(5 / 15)


def test_a_reward_that_raises_ends_the_run_with_its_own_words(tmp_path):
    with service(tmp_path, *LAB, {"use": "odd-raising", "name": "guard"}) as s:
        replies = post(s.url, [good(HARMFUL, REFUSAL)] * 8)
        error = s.failure()
    assert isinstance(error, RewardError)
    assert "reward 'guard' failed on prompt 'h': ValueError: the guard model is gone (odd_rewards.py:" in error.what
    assert error.where == f"{tmp_path / 'rollouts.jsonl'}:1"
    assert error.exit_code == 3
    assert "guard model is gone" in rows(tmp_path)[0]["components"]["guard"]["error"]
    assert {r["rewards"] for r in replies} == {0.0}


def test_after_a_failure_calls_are_answered_in_the_same_form_without_scoring(tmp_path):
    with service(tmp_path, {"use": "odd-raising-on", "options": {"text": "poison"}}) as s:
        before, _, after = post(s.url, [good(SUM, "a"), good(SUM, "poison"), good(SUM, "b")], at_once=1)
        error = s.failure()
        assert "cannot read poison" in str(error)
        post(s.url, [good(SUM, "poison")])
        assert s.failure() is error
    assert list(after["extra_logs"]) == list(before["extra_logs"])
    assert (before["rewards"], after["rewards"]) == (1.0, 0.0)
    assert len(rows(tmp_path)) == 2


@pytest.mark.parametrize(
    ("use", "options", "says"),
    [
        ("odd-constant", {"value": "nan"}, "nan"),
        ("odd-too-few", {}, "0 results for 1 traces"),
        ("odd-float", {}, "returned a float, not a Score"),
        ("odd-exiting", {}, "SystemExit"),
    ],
)
def test_a_broken_score_is_a_failure_and_the_reply_stays_valid(tmp_path, use, options, says):
    with service(tmp_path, {"use": use, "options": options}) as s:
        (reply,) = post(s.url, [good(SUM, "4")])
        assert says in str(s.failure())
    assert reply["rewards"] == reply["scores"] == 0.0
    assert reply["extra_logs"]["failed_rollout"] == 1.0


@pytest.mark.e2e
def test_neutral_failures_below_the_limit_do_not_end_the_run(tmp_path):
    odd = {"use": "odd-raising-on", "options": {"text": "poison"}}
    calls = [good(SUM, "poison" if i % 20 == 7 else "fine") for i in range(100)]
    with service(tmp_path, odd, on_failure="neutral", max_failure_rate=0.1) as s:
        replies = post(s.url, calls, at_once=1)
        assert s.failure() is None
        assert s.counts() == {"rollouts": 100, "failed": 5}
    assert [r["rewards"] for r in replies] == [1.0] * 100
    assert sum(r["extra_logs"]["failed_rollout"] for r in replies) == 5
    assert sum(r["extra_logs"]["applies_odd-raising-on"] for r in replies) == 95


def test_too_many_neutral_failures_end_the_run_with_the_rate_and_the_last_error(tmp_path):
    odd = {"use": "odd-raising-on", "options": {"text": "poison"}}
    calls = [good(SUM, "poison" if i % 4 == 0 else "fine") for i in range(40)]
    with service(tmp_path, odd, on_failure="neutral", max_failure_rate=0.1) as s:
        post(s.url, calls[:19], at_once=1)
        assert s.failure() is None  # a share of so few rollouts says little
        post(s.url, calls[19:], at_once=1)
        text = str(s.failure())
    assert "failed on 6 of 21 rollouts, more than 10.0%" in text
    assert "cannot read poison" in text


def test_a_reward_that_hangs_fails_within_the_time_limit(tmp_path):
    with service(tmp_path, {"use": "odd-slow", "options": {"seconds": 1.5}}, time_limit=0.2) as s:
        (reply,) = post(s.url, [good(SUM, "4")])
        assert "no reward from odd-slow within 0.2 s" in str(s.failure())
    assert reply["rewards"] == 0.0


def test_calls_that_wait_are_scored_together(tmp_path):
    with service(tmp_path, {"use": "odd-slow", "options": {"seconds": 0.2}}, time_limit=5) as s:
        post(s.url, [good(SUM, "4")] * 40, at_once=40)
        # one by one this would have taken 8 s, and the last calls would have run into the limit
        assert (s.failure(), s.counts()) == (None, {"rollouts": 40, "failed": 0})


def test_strange_text_is_written_and_read_back(tmp_path):
    odd = "\u2028 \u0000 \ud83d\ude80 \ud800 \r\n\t \"'\\ </td><script> \u202e"
    body = json.dumps(good(Prompt.user("\u00fc", odd, "benign"), odd)).encode()
    with service(tmp_path, {"use": "format"}) as s:
        assert httpx.post(s.url, content=body, timeout=60).json()["rewards"] == 0.0
        assert s.failure() is None
    (row,) = rows(tmp_path)
    assert row["prompt"] == json.loads(json.dumps(odd))
    assert row["answer"] == row["prompt"].strip().replace("\ud800", "\ufffd")  # no tokenizer takes half a character


@pytest.mark.e2e
def test_a_second_attempt_appends_after_cutting_off_a_torn_line(tmp_path):
    with service(tmp_path, {"use": "format"}) as s:
        post(s.url, [good(SUM, "4")] * 2, at_once=1)
    with (tmp_path / "rollouts.jsonl").open("a") as torn:
        torn.write('{"n": 3, "attempt": 1, "answ')
    with service(tmp_path, {"use": "format"}, attempt=2) as s:
        post(s.url, [good(SUM, "4")])
    assert [(r["n"], r["attempt"]) for r in rows(tmp_path)] == [(1, 1), (2, 1), (3, 2)]


def test_a_full_disk_ends_the_run_and_is_named():
    with RewardService(section({"use": "format"}), rollouts=Path("/dev/full"), end_tokens=[END]) as s:
        (reply,) = post(s.url, [good(SUM, "4")])
        assert "No space left on device" in str(s.failure())
        assert "/dev/full" in str(s.failure())
    assert reply["rewards"] == 0.0


def test_a_file_that_cannot_be_written_is_one_clear_error_before_anything_starts(tmp_path):
    (tmp_path / "rollouts.jsonl").mkdir()
    with pytest.raises(LrmctlError, match="cannot write rollouts: Is a directory"), service(tmp_path, *LAB):
        pass


def test_a_port_that_is_taken_is_one_clear_error(tmp_path):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(LrmctlError, match=f"port {port} on 127.0.0.1 is taken"), service(tmp_path, *LAB, port=port):
            pass
    with service(tmp_path, *LAB, port=port) as s:
        assert s.url == f"http://127.0.0.1:{port}/{s.token}/reward"


def test_leaving_the_service_frees_the_port_and_ends_its_threads(tmp_path):
    with service(tmp_path, *LAB) as s:
        client = httpx.Client(timeout=60)
        client.post(s.url, json=good(HARMFUL, REFUSAL))  # the connection stays open
        assert client.get(s.url.replace("/reward", "/healthz")).json()["rollouts"] == 1
    names = {t.name for t in threading.enumerate()}
    assert "lrmctl-service" not in names
    with pytest.raises(httpx.ConnectError):
        httpx.post(s.url, json=good(HARMFUL, REFUSAL), timeout=60)
    client.close()


@pytest.mark.parametrize("name", ["kl", "reward", "is_harmful", "reward_x", "applies_format", "benign"])
def test_a_component_named_like_another_metric_is_refused(tmp_path, name):
    with pytest.raises(LrmctlError, match=f"cannot be logged as '{name}'"):
        service(tmp_path, {"use": "format", "name": name})


def test_rows_are_there_while_the_service_still_runs(tmp_path):
    with service(tmp_path, {"use": "format"}) as s:
        post(s.url, [good(SUM, "4")])
        deadline = time.monotonic() + 120
        while not rows(tmp_path) and time.monotonic() < deadline:
            time.sleep(0.01)
        assert len(rows(tmp_path)) == 1


@pytest.mark.e2e
def test_normalising_goes_on_from_the_rows_of_earlier_attempts(tmp_path):
    shape = {"low": 1, "high": 5, "falloff": 40}
    words = section({"use": "length", "part": "answer", "options": shape}, normalise="kind")
    answers = [" ".join(["word"] * (1 + i % 30)) for i in range(40)]

    def given(attempt: int, texts: Sequence[str]) -> list[float]:
        with RewardService(words, rollouts=tmp_path / "rollouts.jsonl", end_tokens=[END], attempt=attempt) as s:
            return [reply["rewards"] for reply in post(s.url, [good(BENIGN, text) for text in texts], at_once=1)]

    first, again = given(1, answers), given(2, answers[:1])
    totals = [row["total"] for row in rows(tmp_path)]
    assert first[:31] == pytest.approx(totals[:31], abs=1e-4)  # too few to know a mean
    assert first[31:] != totals[31:40]
    mean, deviation = np.mean(totals), np.std(totals)
    assert again == [pytest.approx((totals[-1] - mean) / deviation, abs=1e-4)]
    assert all(row["irregular"] == [] for row in rows(tmp_path))
