"""The time of day is set back an hour or on a year meanwhile: no duration is negative, and nobody waits for it."""

from __future__ import annotations

import json
import time
from email.utils import formatdate
from pathlib import Path

import httpx
import pytest
from calls import SUM, good, post, service

from lrmctl.backends.base import Checkpoint
from lrmctl.backends.openrlhf.run.metrics import Recorder
from lrmctl.engines.openai.retry import retry_after
from lrmctl.runs.folder import RunFolder
from lrmctl.runs.holding import hold
from lrmctl.runs.overview import run_summary
from lrmctl.training.resume import describe_resume
from lrmctl.types import Plan

JUMPS = [-3600.0, 365 * 86400.0]
LINE = "[2026-01-01] Global step {}: {{'reward': 0.5, 'train/x': 1}}"


def _jump(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + seconds)


@pytest.mark.parametrize("jump", JUMPS)
def test_the_seconds_of_steps_are_those_that_passed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, jump: float
) -> None:
    recorder = Recorder(tmp_path / "metrics.jsonl", Plan("openrlhf", "rl", (), {}, estimates={"steps": 2}))
    _jump(monkeypatch, jump)
    first = recorder._record(1, {"reward": 0.5})
    second = recorder._record(2, {"reward": 0.5})
    seconds = [json.loads(line)["seconds"] for line in recorder.path.read_text().splitlines()]
    assert 0 <= seconds[0] <= seconds[1] < 3000
    assert all(progress.metrics.get("seconds_left", 0.0) >= 0 for progress in (first, second))
    assert 0 <= recorder._seconds_of(recorder.path.stat().st_mtime + jump) < 3000


def test_the_seconds_of_rollouts_do_not_go_by_the_time_of_day(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _jump(monkeypatch, 3600.0)  # here and not in the service's own process, as after the clock was set back
    with service(tmp_path, {"use": "format"}) as s:
        post(s.url, [good(SUM, "4")])
    (row,) = map(json.loads, (tmp_path / "rollouts.jsonl").read_text().splitlines())
    assert 0 <= row["seconds"] < 3000


@pytest.mark.parametrize("jump", JUMPS)
def test_a_run_is_listed_held_and_described_whatever_the_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, jump: float
) -> None:
    folder = RunFolder.create(tmp_path, "a")
    folder.set_status("running")
    saved = folder.status_file.stat().st_mtime
    _jump(monkeypatch, jump)
    with hold(folder.path, "training"):
        assert "ago" in "".join(describe_resume(folder, Checkpoint(1, folder.path, saved)))
    assert "-" not in describe_resume(folder, Checkpoint(1, Path("c"), saved))[0].partition("saved")[2]
    assert run_summary(folder)["state"] == "interrupted"


@pytest.mark.parametrize("jump", JUMPS)
def test_a_server_that_names_a_date_is_waited_for_by_its_own_clock(jump: float) -> None:
    there = 1_800_000_000 + jump
    headers = {"retry-after": formatdate(there + 20, usegmt=True), "date": formatdate(there, usegmt=True)}
    assert retry_after(httpx.Response(429, headers=headers)) == 20.0
