"""The command line in this process, and files of rows."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

Write = Callable[..., Path]


@pytest.fixture
def lrmctl(lrmctl: Callable[..., Any]) -> Callable[..., Any]:
    """The command line; bugs fail the test, and what it says of errors is one line."""

    def call(*words: str) -> Any:
        said = lrmctl(*words)
        assert said.code != 70, said.err
        return replace(said, err=" ".join(said.err.split()))

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
