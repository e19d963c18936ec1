"""`--out` of every command: an ordinary file, nobody else's, and nothing left behind after an error."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lrmctl.errors import LrmctlError
from lrmctl.runs.writing import write_json

Lrmctl = Callable[..., Any]
REPORT = ("report", "a")
PLAN = ("train", "lab/rl", "--dry-run")
SCORE = ("reward", "score", "rows.jsonl", "--use", "format")
FIT = ("reward", "fit", "labelled.jsonl", "--rule", "features", "--folds", "2", "--steps", "1")
JUDGE = ("judge", "score", "rows.jsonl", "--judge", "lab")


@pytest.fixture
def inputs(runs: Path, tmp_path: Path) -> Path:
    (tmp_path / "rows.jsonl").write_bytes((runs / "a" / "eval" / "rows.jsonl").read_bytes())
    rows = [
        {"prompt": f"p{i}", "response": "x" * n, "label": label}
        for i in range(4)
        for n, label in ((5, "disallowed_completion"), (50, "ideal"))
    ]
    (tmp_path / "labelled.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path


def _special(folder: Path) -> dict[str, Path]:
    (folder / "folder").mkdir()
    (folder / "link").symlink_to(folder / "precious")
    (folder / "nowhere").symlink_to(folder / "gone")
    os.mkfifo(folder / "pipe")
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(str(folder / "socket"))
    return {name: folder / name for name in ("folder", "link", "nowhere", "pipe", "socket")}


@pytest.mark.e2e
@pytest.mark.parametrize("command", [REPORT, PLAN, SCORE, FIT, JUDGE], ids=lambda c: " ".join(c[:2]))
def test_only_an_ordinary_file_is_written(lrmctl: Lrmctl, inputs: Path, command: tuple[str, ...]) -> None:
    (inputs / "precious").write_text("years of work")
    special = [
        *_special(inputs).values(),
        Path("/dev/null"),
        Path("/dev/full"),
        Path("/proc/self/mem"),
        Path("/"),
        Path(),
    ]
    before = {path.name for path in inputs.iterdir()}
    for path in special:
        said = lrmctl(*command, "--out", str(path))
        assert (said.code, path) == (2, path)
        assert said.is_an_answer, said.err
    for path in ("precious/below", "x" * 300, "/proc/nothing/here", "a\0b", ""):
        said = lrmctl(*command, "--out", path)
        assert said.code == 2
        assert said.is_an_answer, said.err
    assert {path.name for path in inputs.iterdir()} == before
    assert (inputs / "precious").read_text() == "years of work"
    assert Path("/dev/null").is_char_device()


@pytest.mark.parametrize(
    "content", ["years of work", '{"a": 1}', "<html>mine</html>", "[]", "\0\1", '{"prompt": "x"}\n']
)
@pytest.mark.parametrize("command", [REPORT, PLAN, SCORE, FIT, JUDGE], ids=lambda c: " ".join(c[:2]))
def test_somebodys_file_is_not_replaced_without_force(
    lrmctl: Lrmctl, inputs: Path, command: tuple[str, ...], content: str
) -> None:
    (inputs / "mine").write_text(content)
    said = lrmctl(*command, "--out", "mine")
    assert said.code == 2
    assert (inputs / "mine").read_text() == content
    if command != JUDGE:
        assert "--force" in said.err


@pytest.mark.e2e
@pytest.mark.parametrize("command", [REPORT, PLAN, FIT, JUDGE], ids=lambda c: " ".join(c[:2]))
def test_what_the_same_command_wrote_is_replaced(lrmctl: Lrmctl, inputs: Path, command: tuple[str, ...]) -> None:
    for _ in range(2):
        assert lrmctl(*command, "--out", "new/out").code == 0
    assert not list((inputs / "new").glob("*.part"))


@pytest.mark.e2e
def test_force_replaces_a_file(lrmctl: Lrmctl, inputs: Path) -> None:
    (inputs / "mine").write_text("old")
    for command in (REPORT, PLAN, SCORE, FIT):
        assert lrmctl(*command, "--out", "mine", "--force").code == 0
        assert (inputs / "mine").read_text() != "old"


def test_a_table_beside_the_report_is_not_replaced_in_silence(lrmctl: Lrmctl, inputs: Path) -> None:
    (inputs / "table.json").write_text('{"rows": ["mine"]}')
    said = lrmctl(*REPORT, "--out", "page.html")
    assert (said.code, "table.json" in said.err) == (2, True)
    assert not (inputs / "page.html").exists()
    assert (inputs / "table.json").read_text() == '{"rows": ["mine"]}'


def test_rollouts_are_not_replaced_by_their_own_new_scores(lrmctl: Lrmctl, inputs: Path) -> None:
    before = (inputs / "rows.jsonl").read_bytes()
    assert lrmctl(*SCORE, "--out", "rows.jsonl").code == 2
    assert (inputs / "rows.jsonl").read_bytes() == before


def test_a_write_that_fails_leaves_no_part_and_the_old_file(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"old": True})
    with pytest.raises(TypeError):
        write_json(tmp_path / "a.json", {"new": object()})
    (tmp_path / "folder").mkdir()
    with pytest.raises(LrmctlError):
        write_json(tmp_path / "folder", {})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.json", "folder"]
    assert json.loads((tmp_path / "a.json").read_text()) == {"old": True}
