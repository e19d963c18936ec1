"""`lrmctl view` as a process of its own: the URL, what it shows, Ctrl-C; and what it cannot show."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from viewed_runs import append_rollouts, make_run, rollouts

from lrmctl.runs.folder import RunFolder

Start = Callable[..., subprocess.Popen[str]]
Lrmctl = Callable[..., Any]
pytestmark = pytest.mark.timeout(180)


@contextmanager
def viewing(start: Start, *words: str) -> Iterator[httpx.Client]:
    process = start("view", "--no-open", *words)
    assert process.stdout is not None
    try:
        url = process.stdout.readline().strip()
        assert url.startswith("http://127.0.0.1:"), process.communicate()
        with httpx.Client(base_url=url, trust_env=False, timeout=60) as client:
            yield client
        os.kill(process.pid, signal.SIGINT)
        _, err = process.communicate()
        assert process.returncode == 130
        assert "Ctrl-C ends it" in err
        assert err.endswith("interrupted\n")
    finally:
        process.kill()
        process.communicate()


@pytest.mark.e2e
def test_it_prints_a_url_that_shows_the_run_and_ends_with_ctrl_c(start: Start, tmp_path: Path) -> None:
    make_run(tmp_path / "runs", "base", prompts=1)
    before = sorted(path for path in tmp_path.rglob("*"))
    with viewing(start, "base") as client:
        assert client.get("").status_code == 200
        assert client.get("index?from=0").json()["count"] == 6
    assert sorted(path for path in tmp_path.rglob("*")) == before


def test_without_a_target_every_run_is_shown(start: Start, tmp_path: Path) -> None:
    for name in ("base", "rl"):
        make_run(tmp_path / "runs", name, prompts=1)
    with viewing(start) as client:
        assert client.get("state").json()["runs"] == ["base", "rl"]


def test_a_folder_shows_its_runs_and_a_study_its_arms(start: Start, tmp_path: Path) -> None:
    for name in ("base", "rl"):
        make_run(tmp_path / "elsewhere" / "s", name, prompts=1)
    with viewing(start, "elsewhere/s") as client:
        assert client.get("state").json()["runs"] == ["base", "rl"]
    arms = [{"name": "rl", "label": "RL (GRPO)", "control": False}]
    (tmp_path / "elsewhere" / "s" / "study.json").write_text(json.dumps({"recipe": {"arms": arms}}))
    with viewing(start, "elsewhere/s") as client:
        assert client.get("state").json()["runs"] == ["Base", "RL (GRPO)"]


def test_a_run_that_trains_is_followed_from_its_first_rollout(start: Start, tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path / "runs", "rl")
    with run.hold():
        run.set_status("running")
        with viewing(start, "rl") as client:
            assert client.get("state").json()["running"] is True
            assert client.get("index?from=0").json()["count"] == 0
            append_rollouts(run.rollouts, rollouts(8))
            assert client.get("index?from=0").json()["count"] == 8


def test_a_run_with_nothing_to_show_is_one_error(lrmctl: Lrmctl, tmp_path: Path) -> None:
    RunFolder.create(tmp_path / "runs", "sft").set_status("done")
    said = lrmctl("view", "sft", "--no-open")
    assert said.code == 2
    assert "sft has neither evaluated rows nor rollouts" in said.err
    assert "lrmctl eval" in said.err


@pytest.mark.parametrize("words", [["nowhere"], [], ["--lexicon", "nothing"], ["run:../x"]])
def test_what_is_not_there_is_one_error(lrmctl: Lrmctl, words: list[str]) -> None:
    said = lrmctl("view", "--no-open", *words)
    assert said.code == 2
    assert said.is_an_answer
