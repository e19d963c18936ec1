"""Reads a file while another process writes it, each complete line once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

from lrmctl._util.jsonl import parse_row
from lrmctl.errors import NotFoundError


class FileTail:
    """Returns what was added to a growing file since the last call; an incomplete last line is left for later.

    Args:
        from_end: skip what is already in the file.

    Attributes:
        number: rows read so far, by `rows`.
        unreadable: lines that `rows` skipped because they are not JSON objects.
    """

    def __init__(self, path: Path, *, from_end: bool = False) -> None:
        self.path, self.number, self.unreadable = path, 0, 0
        self._open: BinaryIO | None = None
        self.offset = path.stat().st_size if from_end and path.exists() else 0

    def lines(self) -> list[str]:
        """New non-empty lines. A carriage return also ends a line, because progress bars use it."""
        new = self._new().replace(b"\r", b"\n")
        whole = new[: new.rfind(b"\n") + 1]
        self.offset += len(whole)
        return [line.decode("utf-8", "replace") for line in whole.split(b"\n") if line]

    def _new(self) -> bytes:
        """Bytes since the last call. A deleted file stays open, so what its writer still adds is read."""
        with suppress(FileNotFoundError):
            file = self.path.open("rb")  # reopened each time, so that a network file system refreshes it
            if self._open is not None:
                self._open.close()
            self._open = file
        if self._open is None:
            return b""
        self._open.seek(self.offset)
        return self._open.read()

    def rows(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """New rows of a JSONL file, each with its line number, from 1.

        Raises:
            NotFoundError: the file was deleted after some of it had been read.
        """
        if not self.path.is_file():
            if self.offset:
                fix = f"bring it back; what was said is of its first {self.number} lines"
                raise NotFoundError("this file was deleted while it was read", str(self.path), fix)
            return
        with self.path.open("rb") as file:
            file.seek(self.offset)
            for line in file:
                if not line.endswith(b"\n"):
                    return
                self.offset += len(line)
                self.number += 1
                row = parse_row(line)
                if row is None:
                    self.unreadable += 1
                else:
                    yield self.number, row
