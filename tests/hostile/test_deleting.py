"""`run rm` deletes runs that lrmctl made, and nothing else, whatever it is asked for."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lrmctl.runs.folder import RunFolder

Lrmctl = Callable[..., Any]


def _everything(folder: Path) -> set[str]:
    return {str(path) for path in folder.rglob("*")}


@pytest.mark.parametrize(
    "made",
    ["eval", "analysis", "stages", "status.json/", "eval/summary.json", "eval/rows.jsonl", "eval-x/summary.json"],
)
def test_a_folder_that_only_looks_like_a_run_is_not_deleted(lrmctl: Lrmctl, tmp_path: Path, made: str) -> None:
    path = tmp_path / "project" / made
    path.parent.mkdir(parents=True, exist_ok=True)
    if made.endswith((".json", ".jsonl")):
        path.write_text("{}")
    else:
        path.mkdir()
    (tmp_path / "project" / "thesis.tex").write_text("years of work")
    said = lrmctl("run", "rm", "project", "-y")
    assert said.code == 2
    assert (tmp_path / "project" / "thesis.tex").exists()


@pytest.mark.parametrize(
    "content",
    ["{}", '{"state": "done"}', '{"state": "open", "updated": "2026-01-01T00:00:00Z"}', "[]", "", "\0", "null"],
)
def test_another_tools_status_does_not_make_it_a_run_of_ours(lrmctl: Lrmctl, tmp_path: Path, content: str) -> None:
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "status.json").write_text(content)
    for target in (
        "project",
        "./project",
        str(tmp_path / "project"),
        "run:../project",
        "../" + tmp_path.name + "/project",
    ):
        assert lrmctl("run", "rm", target, "-y").code == 2
    assert (tmp_path / "project" / "status.json").exists()


@pytest.mark.parametrize(
    "target",
    ["", ".", "..", "./", "../", "/", "run:", "run:.", "run:..", "run:/", "run:../p", "run:eval/..", "runs", "./runs",
     "runs/", "runs/.", "runs/eval/..", "run:eval/../..", "~", "eval/..", "run:a/b/c", "run:\n", "run: ", "x" * 5000,
     "a\0b"],
)  # fmt: skip
def test_all_runs_are_never_deleted_at_once(lrmctl: Lrmctl, tmp_path: Path, target: str) -> None:
    for name in ("eval", "other"):
        RunFolder.create(tmp_path / "runs", name).set_status("done")
    RunFolder.create(tmp_path, "p").set_status("done")
    (tmp_path / "runs" / "status.json").write_text((tmp_path / "p" / "status.json").read_text())
    before = _everything(tmp_path)
    assert lrmctl("run", "rm", target, "-y").code == 2
    assert _everything(tmp_path) == before


@pytest.mark.parametrize("into", ["precious", "runs/other"])
def test_a_link_is_not_followed(lrmctl: Lrmctl, tmp_path: Path, into: str) -> None:
    for name in ("precious", "runs/other"):
        RunFolder.create((tmp_path / name).parent, Path(name).name).set_status("done")
    (tmp_path / "runs" / "link").symlink_to(tmp_path / into)
    for target in ("link", "run:link", "runs/link"):
        said = lrmctl("run", "rm", target, "-y")
        assert (said.code, "is a link" in said.err) == (2, True)
    assert (tmp_path / into / "status.json").exists()


def test_checkpoints_that_are_a_link_are_left(lrmctl: Lrmctl, tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path / "runs", "a")
    folder.set_status("done")
    (tmp_path / "big").mkdir()
    (tmp_path / "big" / "weights").write_text("0")
    folder.checkpoints.symlink_to(tmp_path / "big")
    assert lrmctl("run", "rm", "a", "-y", "--checkpoints-only").code == 0
    assert lrmctl("run", "rm", "a", "-y").code == 0
    assert (tmp_path / "big" / "weights").exists()
    assert not folder.path.exists()


def test_the_folder_one_works_in_is_not_deleted(
    lrmctl: Lrmctl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = RunFolder.create(tmp_path / "runs", "a")
    (folder.path / "notes").mkdir()
    monkeypatch.chdir(folder.path / "notes")
    assert lrmctl("run", "rm", str(folder.path), "-y").code == 2
    assert folder.path.exists()


@pytest.mark.parametrize("mark", [True, False])
def test_a_run_of_ours_is_deleted_with_its_mark_and_from_before_there_were_marks(
    lrmctl: Lrmctl, runs: Path, mark: bool
) -> None:
    if not mark:
        for name in ("a", "b"):
            (runs / name / ".lrmctl.json").unlink()
    for name in ("status.json", "lock.json", "metrics.jsonl"):  # only evaluated
        (runs / "b" / name).unlink()
    shutil.rmtree(runs / "b" / "logs")
    for name in ("a", "b"):
        assert lrmctl("run", "rm", name, "-y").code == 0
        assert not (runs / name).exists()


def test_an_evaluation_does_not_move_into_somebodys_folder(lrmctl: Lrmctl, tmp_path: Path) -> None:
    (tmp_path / "runs" / "mine").mkdir(parents=True)
    (tmp_path / "runs" / "mine" / "thesis.tex").write_text("years of work")
    (tmp_path / "runs" / "file").write_text("")
    (tmp_path / "runs" / "nowhere").symlink_to(tmp_path / "gone")
    for name in ("mine", "file", "nowhere"):
        assert lrmctl("eval", "lab:tiny", "--name", name, "--set", "evaluation.limit=1").code == 2
    assert [p.name for p in (tmp_path / "runs" / "mine").iterdir()] == ["thesis.tex"]
