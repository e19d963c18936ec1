"""Appending to a JSONL file that a kill may have left with a torn last line. One writer per file at a time.

A row is in the system's hands when `write` returns, so a kill of the writer does not lose it; a power cut may, unless
the writer waits for the disk (`fsync`).
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
    """The row of a line; None if it is not a JSON object, for readers that go on over damage."""
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return row if isinstance(row, dict) else None


class JsonlAppender:
    """Appends rows; a torn last line of an earlier writer is cut off first.

    Args:
        fsync: wait until rows are on the disk itself.

    Attributes:
        rows: rows in the file, those of earlier writers included.
    """

    def __init__(self, path: Path, *, fsync: bool = False) -> None:
        self._path, self._fsync = path, fsync
        path.parent.mkdir(parents=True, exist_ok=True)
        self.rows = _mend(path)
        # unbuffered: after a full disk nothing is left behind that a later write or close would stumble over
        self._file = path.open("ab", buffering=0)

    def write(self, row: Mapping[str, Any]) -> None:
        """Append one row.

        Raises:
            OSError: the disk is full, or the file is gone.
        """
        self.write_all([row])

    def write_all(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Append rows with one call to the system.

        Raises:
            OSError: the disk is full, or the file is gone.
        """
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        # a lone surrogate (from damaged text) becomes `\udXXX`, which is the JSON escape that reads back as it
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
    """Cut off what follows the last line end; returns the number of whole lines left."""
    if not path.is_file():
        return 0
    lines, whole = 0, 0
    with path.open("rb+") as file:
        for line in file:
            if line.endswith(b"\n"):
                lines, whole = lines + 1, whole + len(line)
        file.truncate(whole)
    return lines
