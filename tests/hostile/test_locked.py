"""Folders and files that the user may not read or write: one error with the path, and the other runs are still there.

The commands run without root's right to pass over permissions, so that root's machines test it too.
"""

from __future__ import annotations

import ctypes
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from many_commands import run_all

pytestmark = pytest.mark.e2e

_DROP, _OVERRIDE, _READ_SEARCH = 24, 1, 2  # linux/prctl.h, linux/capability.h
SHUT, READ_ONLY = 0, 0o500


def _as_anybody() -> None:
    if os.geteuid() == 0:
        for capability in (_OVERRIDE, _READ_SEARCH):
            ctypes.CDLL(None).prctl(_DROP, capability, 0, 0, 0)


@pytest.fixture
def locked(runs: Path, tmp_path: Path) -> Iterator[Path]:
    """A working folder with runs that are shut, read-only, or hold rows that cannot be read."""
    for name in ("shut", "readonly", "norows"):
        shutil.copytree(runs / "a", runs / name)
    for name in ("noread.jsonl", "rows.jsonl", "locked/rows.jsonl"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text('{"prompt": "p", "response": "r"}\n')
    (tmp_path / "noread.yaml").write_text("extends: lab/rl\n")
    (tmp_path / "below.yaml").write_text("extends: noread.yaml\n")
    modes = {
        runs / "shut": SHUT, runs / "readonly" / "eval": READ_ONLY, runs / "readonly": READ_ONLY,
        runs / "norows" / "eval" / "rows.jsonl": SHUT, tmp_path / "locked": READ_ONLY,
        tmp_path / "noread.jsonl": SHUT, tmp_path / "noread.yaml": SHUT,
    }  # fmt: skip
    for path, mode in modes.items():
        path.chmod(mode)
    yield tmp_path
    for path in reversed(modes):
        path.chmod(0o700)


REFUSED = {
    "run show shut": "runs/shut", "run logs shut": "runs/shut", "run rm shut -y": "runs/shut",
    "run rm readonly -y": "runs/readonly", "compare shut a": "runs/shut", "compare a norows": "rows.jsonl",
    "report shut a": "runs/shut", "report norows": "rows.jsonl", "report a --out locked/p.html": "locked",
    "export norows --to lm-eval": "rows.jsonl", "export a --to lm-eval --out locked/x": "locked",
    "export readonly --to lm-eval": "runs/readonly", "analyze shut": "runs/shut", "monitor shut": "runs/shut",
    "monitor noread.jsonl": "noread.jsonl", "recipe diff run:shut lab/rl": "runs/shut",
    "eval lab:tiny --name shut --recipe lab/eval": "runs/shut",
    "eval lab:tiny --recipe lab/eval --runs-dir locked/runs": "locked/runs",
    "eval run:readonly --rejudge --recipe demo": "runs/readonly",
    "train lab/rl --name shut": "runs/shut", "train lab/rl --runs-dir locked/runs": "locked/runs",
    "train noread.yaml --dry-run": "noread.yaml", "recipe validate below.yaml": "noread.yaml",
    "recipe copy lab/rl locked/x.yaml": "locked/x.yaml", "judge score noread.jsonl --judge lab": "noread.jsonl",
    "judge score locked/rows.jsonl --judge lab": "locked", "reward score noread.jsonl --use format": "noread.jsonl",
    "reward serve lab/rl --rollouts locked/r.jsonl": "locked/r.jsonl", "model tiny locked/m": "locked/m",
    "study demo --runs-dir locked/runs": "locked/runs",
}  # fmt: skip
"""Commands, and what their error has to name."""
FINE = ["run list", "run show a", "run show readonly", "recipe list", "train lab/rl --dry-run", "report a --out p.html"]
"""Commands that need nothing of what is locked: a home and caches that cannot be written among it."""


def test_what_is_locked_is_one_error_that_names_it(locked: Path) -> None:
    home = {"HOME": str(locked / "locked"), "XDG_CACHE_HOME": str(locked / "locked" / "cache"), "COLUMNS": "300"}
    lines = [*FINE, *REFUSED]
    told = dict(zip(lines, run_all([line.split() for line in lines], locked, home, _as_anybody), strict=True))
    assert {line: told[line] for line in FINE if told[line].code != 0} == {}
    wrong = {
        line: told[line]
        for line, named in REFUSED.items()
        if (told[line].code, told[line].errors) != (2, 1) or named not in told[line].err
    }
    assert wrong == {}
    listed = told["run list"].out
    assert "shut" in listed
    assert "damaged: " in listed
    assert "interrupted" not in listed
    assert "chmod" in told["run show shut"].err or "ls -ld" in told["run show shut"].err
