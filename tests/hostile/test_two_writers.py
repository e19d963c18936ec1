"""Two processes at one folder: one works, the other is told by whom it is held, and nothing is mixed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lrmctl.errors import RunExistsError
from lrmctl.runs.holding import hold, is_held

Lrmctl = Callable[..., Any]
pytestmark = pytest.mark.e2e

HOLD = """
import sys
from pathlib import Path
from lrmctl.runs.holding import hold, hold_file
with (hold_file if sys.argv[2:] else hold)(Path(sys.argv[1]), "evaluating"):
    print("held", flush=True)
    sys.stdin.read()
"""
WRITE = """
import sys
from pathlib import Path
from lrmctl.runs.jsonl import write_jsonl

for _ in range(30):
    write_jsonl(Path(sys.argv[1]), ({"by": sys.argv[2], "n": n} for n in range(300)))
"""


def _held(folder: Path, *more: str) -> subprocess.Popen[str]:
    words = [sys.executable, "-c", HOLD, str(folder), *more]
    process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


@pytest.mark.parametrize(
    ("folder", "command"),
    [
        ("a/eval", ("eval", "lab:tiny", "--name", "a", "--set", "evaluation.limit=1")),
        ("a/eval", ("eval", "run:a", "--rejudge", "--recipe", "demo")),
        ("a/eval-x", ("eval", "lab:tiny", "--name", "a", "--variant", "x", "--set", "evaluation.limit=1")),
        ("a/analysis", ("analyze", "a")),
        ("a/eval", ("run", "rm", "a", "-y")),
        ("a/eval-x", ("run", "rm", "a", "-y")),
        ("a/analysis", ("run", "rm", "a", "-y")),
        ("s", ("study", "demo", "--name", "s")),
        ("a", ("train", "lab/rl", "--name", "a", "--resume", "--from-start")),
    ],
)
def test_the_second_is_told_who_holds_the_folder(
    lrmctl: Lrmctl, runs: Path, folder: str, command: tuple[str, ...]
) -> None:
    (runs / "a" / "lock.json").unlink()  # so that training would start
    holder = _held(runs / folder)
    rows = (runs / "a" / "eval" / "rows.jsonl").read_bytes()
    try:
        said = lrmctl(*command)
        assert said.code == 2
        assert f"pid {holder.pid} on " in said.err
        assert "since 20" in said.err
        assert (runs / "a" / "eval" / "rows.jsonl").read_bytes() == rows
    finally:
        holder.kill()
        holder.wait()


@pytest.mark.parametrize(
    "command",
    [
        ("judge", "score", "rows.jsonl", "--judge", "refusal-phrases", "--out", "out.jsonl"),
        ("reward", "serve", "lab/rl", "--rollouts", "out.jsonl"),
    ],
)
def test_the_second_is_told_who_writes_the_file(lrmctl: Lrmctl, tmp_path: Path, command: tuple[str, ...]) -> None:
    (tmp_path / "rows.jsonl").write_text('{"prompt": "p", "response": "r"}\n')
    holder = _held(tmp_path / "out.jsonl", "file")
    try:
        said = lrmctl(*command)
        assert said.code == 2
        assert f"evaluating 'out.jsonl' right now (pid {holder.pid} on " in said.err
        assert not (tmp_path / "out.jsonl").exists()
    finally:
        holder.kill()
        holder.wait()


def test_a_lock_ends_with_its_process_however_that_ends(tmp_path: Path) -> None:
    holder = _held(tmp_path / "f")
    assert is_held(tmp_path / "f")
    with pytest.raises(RunExistsError, match="evaluating 'f' right now"), hold(tmp_path / "f", "x", patience=0):
        pass
    holder.kill()
    holder.wait()
    assert not is_held(tmp_path / "f")
    with hold(tmp_path / "f", "x"):
        facts = json.loads((tmp_path / "f" / ".held").read_text())
    assert facts["pid"] == os.getpid()


def test_parts_that_a_killed_writer_left_are_swept_and_nothing_else(tmp_path: Path) -> None:
    for name in ("rows.jsonl.123-0123abcd.part", "mine.part", "rows.jsonl.part"):
        (tmp_path / name).write_text("half")
    (tmp_path / "model.part").mkdir()
    with hold(tmp_path, "x"):
        left = {path.name for path in tmp_path.iterdir()}
    assert left == {".held", "mine.part", "rows.jsonl.part", "model.part"}


def test_two_who_write_one_file_leave_it_whole(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    writers = [subprocess.Popen([sys.executable, "-c", WRITE, str(path), name]) for name in ("x", "y", "z")]
    assert [writer.wait(120) for writer in writers] == [0, 0, 0]
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert [row["n"] for row in rows] == list(range(300))
    assert len({row["by"] for row in rows}) == 1
    assert [p.name for p in tmp_path.iterdir()] == ["rows.jsonl"]


def test_two_evaluations_at_once_leave_the_rows_of_one(tmp_path: Path) -> None:
    words = ["eval", "lab:tiny", "--name", "m", "--set", "evaluation.limit=3", "--set", "evaluation.samples=2"]
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    both = [subprocess.Popen([sys.executable, "-m", "lrmctl", *words], cwd=tmp_path, **pipes) for _ in range(2)]
    told = [process.communicate(timeout=300)[1] for process in both]
    codes = [process.returncode for process in both]
    assert 0 in codes
    assert set(codes) <= {0, 2}
    assert all("right now" in err for err, code in zip(told, codes, strict=True) if code == 2)
    summary = json.loads((tmp_path / "runs" / "m" / "eval" / "summary.json").read_text())
    rows = [json.loads(line) for line in (tmp_path / "runs" / "m" / "eval" / "rows.jsonl").read_text().splitlines()]
    assert len(rows) == sum(entry["prompts"] * entry["samples"] for entry in summary["sets"])
