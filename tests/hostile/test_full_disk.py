"""A full disk: one sentence with the path, exit code 2, what was written is readable, and the command goes on."""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tiny_disk import can_mount, on_tiny_disk

from lrmctl.__main__ import _explain
from lrmctl._util.disk import naming
from lrmctl.engines.store import _is_full
from lrmctl.errors import DiskFullError
from lrmctl.runs.writing import replacing

EVAL = ["eval", "lab:tiny", "--recipe", "lab/eval", "--name", "n", "--runs-dir", "disk", "--set", "evaluation.limit=2"]
SMALL = ["--set", "evaluation.samples=1", "--set", "evaluation.temperatures=[0.6]"]
disk = pytest.mark.skipif(not can_mount(), reason="no file system can be mounted here")


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_a_write_that_finds_the_disk_full_names_the_file_and_leaves_no_part(tmp_path: Path, code: int) -> None:
    def lines() -> Iterator[str]:
        yield "half"
        raise OSError(code, "disk")

    with pytest.raises(OSError, match="disk") as caught, replacing(tmp_path / "rows.jsonl") as out:
        out.writelines(lines())
    assert caught.value.filename == str(tmp_path / "rows.jsonl")
    assert not list(tmp_path.iterdir())


def test_another_error_is_not_put_down_to_the_file(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="refused") as caught, naming(tmp_path / "a"):
        raise OSError(errno.ECONNREFUSED, "refused")
    assert caught.value.filename is None


def test_it_is_said_with_the_path_and_the_fix(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(OSError, match="left") as caught, naming(Path("runs/a/rows.jsonl")):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert _explain(caught.value) == 2
    assert capsys.readouterr().err == "error: runs/a/rows.jsonl: No space left on device\n  fix: free some space\n"


def test_a_full_disk_under_the_database_is_known() -> None:
    assert _is_full(sqlite3.OperationalError("database or disk is full"))
    assert not _is_full(sqlite3.OperationalError("database is locked"))
    assert DiskFullError.exit_code == 2


def _full(told: list[Any], path: str) -> bool:
    code, err, rows = told
    sentence = [line for line in err.splitlines() if line.startswith("error:")]
    known = "disk is full" in err or "No space left on device" in err
    return code == 2 and len(sentence) == 1 and path in sentence[0] and known and -1 not in rows.values()


@disk
@pytest.mark.e2e
def test_an_evaluation_goes_on_when_there_is_space(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    full, after = on_tiny_disk(tmp_path / "disk", ("24k", "64m"), [*EVAL, *SMALL])
    assert _full(full, "disk/n"), full
    assert "to continue: lrmctl eval lab:tiny" in full[1]
    assert after[0] == 0, after
    assert after[2]["rows.jsonl"] == 10


@disk
@pytest.mark.e2e
def test_verdicts_that_were_written_are_kept(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "rows.jsonl").write_text("".join(f'{{"prompt": "p{i}", "response": "r"}}\n' for i in range(300)))
    line = ["judge", "score", "rows.jsonl", "--judge", "refusal-phrases", "--out", "disk/v.jsonl"]
    full, after = on_tiny_disk(tmp_path / "disk", ("48k", "64m"), line)
    assert _full(full, "disk/v.jsonl"), full
    assert 0 < full[2]["v.jsonl"] < 300
    assert "to continue: lrmctl judge score" in full[1]
    assert (after[0], after[2]["v.jsonl"]) == (0, 300)


@disk
@pytest.mark.e2e
def test_training_goes_on_when_there_is_space(
    tmp_path: Path, stub_backend: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "disk").mkdir()
    monkeypatch.setenv("PYTHONPATH", f"{stub_backend}:{os.environ.get('PYTHONPATH', '')}")
    line = ["train", "small.yaml", "--runs-dir", "disk", "--resume"]
    full, after = on_tiny_disk(tmp_path / "disk", ("12k", "64m"), line)
    assert _full(full, "disk/small"), full
    assert after[0] == 3, after
    assert "the trainer ran out of ideas" in after[1]


SERVE = """
import sys
from pathlib import Path
sys.path.insert(0, {support!r})
from calls import SUM, good, post, service

if __name__ == "__main__":
    with service(Path("disk"), {{"use": "format"}}) as s:
        replies = post(s.url, [good(SUM, "4 " * 200)] * 40, at_once=1)
        assert all(set(reply) == {{"rewards", "scores", "extra_logs"}} for reply in replies)
        print(s.failure(), file=sys.stderr)
"""


@disk
@pytest.mark.e2e
def test_a_reward_service_keeps_whole_rows_and_goes_on_behind_them(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    script = tmp_path / "serve.py"
    script.write_text(SERVE.format(support=str(Path(__file__).parents[1] / "support")))
    full, after = on_tiny_disk(tmp_path / "disk", ("16k", "64m"), ["python", str(script)])
    kept = full[2]["rollouts.jsonl"]
    assert "disk/rollouts.jsonl: cannot write rollouts: No space left on device" in full[1]
    assert 0 < kept < 40
    assert (after[1].strip(), after[2]["rollouts.jsonl"]) == ("None", kept + 40)
