"""The command line in this process, and files of rows."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest

Write = Callable[..., Path]


class Result(NamedTuple):
    code: int
    out: str
    err: str


@pytest.fixture
def lrmctl(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Callable[..., Result]:
    """`lrmctl WORD ...` with an empty working folder; bugs fail the test."""
    monkeypatch.chdir(tmp_path)

    def call(*words: str) -> Result:
        from lrmctl.__main__ import run

        monkeypatch.setattr(sys, "argv", ["lrmctl", *words])
        capsys.readouterr()
        code = run()
        said = capsys.readouterr()
        assert code != 70, said.err
        return Result(code, said.out, " ".join(said.err.split()))

    return call


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes rows as JSON lines, or bytes as they are, into the working folder."""

    def put(name: str, rows: Sequence[Any] | bytes | str) -> Path:
        path = tmp_path / name
        if isinstance(rows, str):
            rows = rows.encode()
        path.write_bytes(rows if isinstance(rows, bytes) else _lines(rows))
        return path

    return put


def _lines(rows: Sequence[Any]) -> bytes:
    return "".join(f"{json.dumps(row)}\n" for row in rows).encode()
