"""Reading a file while another process writes it: each whole line once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lrmctl._util.jsonl import parse_row


class FileTail:
    """What was added to a growing file since the last call; a line without its end is left for later.

    Args:
        from_end: pass over what is in the file already.

    Attributes:
        number: rows read so far, by `rows`.
        unreadable: lines that `rows` passed over because they are no JSON objects.
    """

    def __init__(self, path: Path, *, from_end: bool = False) -> None:
        self.path, self.number, self.unreadable = path, 0, 0
        self.offset = path.stat().st_size if from_end and path.exists() else 0

    def lines(self) -> list[str]:
        """Lines of text that are not empty. A carriage return ends a line too, since progress bars use it."""
        if not self.path.is_file():
            return []
        with self.path.open("rb") as file:
            file.seek(self.offset)
            new = file.read().replace(b"\r", b"\n")
        whole = new[: new.rfind(b"\n") + 1]
        self.offset += len(whole)
        return [line.decode("utf-8", "replace") for line in whole.split(b"\n") if line]

    def rows(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """Rows of a JSONL file, each with the number of its line, from 1."""
        if not self.path.is_file():
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
