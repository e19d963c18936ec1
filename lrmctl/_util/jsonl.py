"""Appends to a JSONL file whose last line a killed writer may have left incomplete. One writer per file at a time.

When `write` returns, the operating system has the row, so killing the writer does not lose it. A power cut may, unless
the writer uses `fsync`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from lrmctl._util.disk import naming, refuse_deleted


def parse_row(line: bytes) -> dict[str, Any] | None:
    """Parse one line; None if it is not a JSON object, for readers that skip damaged lines."""
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return row if isinstance(row, dict) else None


class JsonlAppender:
    """Appends rows, after removing an incomplete last line of an earlier writer.

    Args:
        fsync: wait until rows are on disk.

    Attributes:
        rows: rows in the file, including those of earlier writers.
    """

    def __init__(self, path: Path, *, fsync: bool = False) -> None:
        self._path, self._fsync = path, fsync
        path.parent.mkdir(parents=True, exist_ok=True)
        self.rows = _mend(path)
        # unbuffered, so that after a disk-full error no data is left to fail again on a later write or close
        self._file = path.open("ab", buffering=0)

    def write(self, row: Mapping[str, Any]) -> None:
        """Append one row.

        Raises:
            OSError: the disk is full, or the file is gone.
        """
        self.write_all([row])

    def write_all(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Append rows with one system call.

        Raises:
            OSError: the disk is full, or the file is gone.
        """
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        # a lone surrogate (from damaged text) becomes `\udXXX`, a JSON escape that round-trips
        data = text.encode("utf-8", "backslashreplace")
        refuse_deleted(self._file.fileno(), self._path)
        with naming(self._path):
            while data:
                data = data[self._file.write(data) :]
            if self._fsync:
                os.fsync(self._file.fileno())
        self.rows += len(rows)

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> JsonlAppender:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None) -> None:
        self.close()


def _mend(path: Path) -> int:
    """Truncate the file after its last newline; returns the number of complete lines."""
    if not path.is_file():
        return 0
    lines, whole = 0, 0
    with path.open("rb+") as file:
        for line in file:
            if line.endswith(b"\n"):
                lines, whole = lines + 1, whole + len(line)
        file.truncate(whole)
    return lines
