"""`lrmctl run`: what is there, its logs, and deleting it; on run folders as training leaves them."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lrmctl.runs.folder import RunFolder
from lrmctl.runs.jsonl import write_jsonl

Lrmctl = Callable[..., Any]


@pytest.fixture
def failed(tmp_path: Path) -> RunFolder:
    """An RL run of five steps that failed at the third, in its second attempt."""
    folder = RunFolder.create(tmp_path / "runs", "bad")
    for text in ("first\n", "one\nbar 1%\rbar 99%\nlast words\n"):
        (folder.new_attempt() / "output.log").write_text(text)
    rewards = [0.1, 0.9, 0.4]
    write_jsonl(folder.metrics, [{"step": n + 1, "total": 5, "reward": r} for n, r in enumerate(rewards)])
    checkpoint = folder.checkpoints / "_actor" / "global_step2"
    checkpoint.mkdir(parents=True)
    (checkpoint / "weights.pt").write_bytes(b"0" * 5000)
    folder.lock.write_text(json.dumps({"recipe_sha256": "abc", "model": {"path": "/m"}}))
    folder.set_status("failed", error="the disk is full", attempt=2, steps=5, resumed_from=2, exit_code=1)
    return folder


HOLD = """
import sys, time
from pathlib import Path
from lrmctl.runs.folder import RunFolder
folder = RunFolder(Path(sys.argv[1]))
with folder.hold():
    folder.set_status("running")
    print("held", flush=True)
    log = folder.attempts()[-1] / "output.log"
    sys.stdin.readline()
    log.open("a").write("one more\\n")
    folder.set_status("failed", error="it broke")
"""


@pytest.fixture
def held(failed: RunFolder) -> Iterator[subprocess.Popen[str]]:
    """A process that trains in the folder until a line arrives."""
    words = [sys.executable, "-c", HOLD, str(failed.path)]
    process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()


@pytest.mark.usefixtures("failed")
def test_list_shows_how_far_a_run_is_and_its_reward(lrmctl: Lrmctl) -> None:
    (row,) = json.loads(lrmctl("run", "list", "--json").out)["data"]
    assert (row["state"], row["step"], row["total"], row["reward"], row["evaluated"]) == ("failed", 3, 5, 0.4, False)
    assert "3/5" in lrmctl("run", "list").out


@pytest.mark.usefixtures("failed")
def test_show_has_attempts_metrics_checkpoints_and_disk(lrmctl: Lrmctl) -> None:
    shown = json.loads(lrmctl("run", "show", "bad", "--json").out)["data"]
    assert shown["status"]["error"] == "the disk is full"
    assert shown["recipe_sha256"] == "abc"
    assert [a["attempt"] for a in shown["attempts"]] == [1, 2]
    assert (shown["attempts"][1]["exit_code"], shown["attempts"][1]["resumed_from"]) == (1, 2)
    assert (shown["metrics"]["reward"], shown["best"]["step"]) == (0.4, 2)
    assert shown["checkpoints"] == [{"path": "checkpoints/_actor/global_step2", "bytes": 5000}]
    assert shown["bytes"] > 5000
    text = lrmctl("run", "show", "bad").out
    assert "exit code 1" in text
    assert "resumed from step 2" in text


def test_show_has_what_was_evaluated_while_training(lrmctl: Lrmctl, failed: RunFolder) -> None:
    write_jsonl(
        failed.path / "evaluations.jsonl", [{"step": 2, "safe": 0.75}, {"step": 4, "safe": 0.5, "truncated": 0.1}]
    )
    shown = lrmctl("run", "show", "bad").out
    assert "evaluated while training" in shown
    assert ["4", "0.5", "0.1"] in [line.split() for line in shown.splitlines()]


@pytest.mark.usefixtures("failed")
def test_logs_are_the_last_attempts_with_the_cause_at_the_end(lrmctl: Lrmctl) -> None:
    said = lrmctl("run", "logs", "bad")
    assert said.out.splitlines() == ["one", "bar 99%", "last words"]
    assert said.last_line == "cause: the disk is full"
    assert lrmctl("run", "logs", "bad", "--tail", "1").out == "last words\n"
    first = lrmctl("run", "logs", "bad", "--attempt", "1")
    assert (first.out, first.err) == ("first\n", "")
    none = lrmctl("run", "logs", "bad", "--attempt", "7")
    assert none.code == 2
    assert "has no attempt 7" in none.err


def test_following_a_log_ends_with_the_run(held: subprocess.Popen[str], failed: RunFolder) -> None:
    words = [sys.executable, "-m", "lrmctl", "run", "logs", str(failed.path), "--follow"]
    follower = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert follower.stdout is not None
    while follower.stdout.readline() != "last words\n":
        assert follower.poll() is None
    time.sleep(0.5)
    held.communicate("go on\n", timeout=20)
    out, err = follower.communicate(timeout=20)
    assert (out, err) == ("one more\n", "cause: it broke\n")
    assert follower.returncode == 0


def test_a_run_is_deleted_when_told_to(lrmctl: Lrmctl, failed: RunFolder) -> None:
    assert lrmctl("run", "rm", "bad", "--checkpoints-only", "--yes").code == 0
    assert not failed.checkpoints.exists()
    assert failed.metrics.exists()
    assert lrmctl("run", "rm", "bad", "--yes").code == 0
    assert not failed.path.exists()


@pytest.mark.parametrize(("answer", "there"), [(b"n\n", True), (b"y\n", False)])
def test_deleting_asks_first(failed: RunFolder, answer: bytes, there: bool) -> None:
    words = [sys.executable, "-m", "lrmctl", "run", "rm", str(failed.path)]
    ours, theirs = pty.openpty()
    with os.fdopen(ours, "wb", buffering=0) as keyboard, os.fdopen(theirs, "rb", buffering=0) as terminal:
        keyboard.write(answer)
        done = subprocess.run(words, stdin=terminal, capture_output=True, text=True, check=False)
    assert "delete" in done.stderr
    assert done.returncode == 0
    assert failed.path.exists() == there


@pytest.mark.parametrize("answer", ["", "y\n"])
def test_nothing_is_deleted_where_nobody_can_be_asked(failed: RunFolder, answer: str) -> None:
    words = [sys.executable, "-m", "lrmctl", "run", "rm", str(failed.path)]
    done = subprocess.run(words, input=answer, capture_output=True, text=True, check=False)
    assert (done.returncode, "add --yes" in done.stderr) == (2, True)
    assert failed.path.exists()


@pytest.mark.usefixtures("held")
@pytest.mark.parametrize("option", [(), ("--checkpoints-only",)])
def test_a_run_that_is_being_trained_is_not_deleted(lrmctl: Lrmctl, failed: RunFolder, option: tuple[str, ...]) -> None:
    said = lrmctl("run", "rm", "bad", "--yes", *option)
    assert said.code == 2
    assert "being trained right now" in said.err
    assert failed.checkpoints.exists()
