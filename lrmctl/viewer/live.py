"""The traces of runs that may still be going on: files are read on from where the last look ended.

The index stays in memory; texts stay in their files and are read again by their place when somebody opens them. A file
that was replaced (an evaluation that was made again) and a part of an analysis that was finished begin a new
generation, which a page asks for anew.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from lrmctl.lexicons import Lexicon, find_lexicon
from lrmctl.runs.folder import RunFolder
from lrmctl.viewer.annotations import lexicon_of
from lrmctl.viewer.packing import IndexPacker, pack_chunk
from lrmctl.viewer.readers import Reader, rollout_reader, row_reader
from lrmctl.viewer.records import Record, ViewedRun

ROWS_A_LOOK = 4_000
"""Rows read for one answer; the page asks again at once while there are more."""
CHUNK_TRACES = 256
"""Most traces of one answer with texts."""


class _Place(NamedTuple):
    """Where a trace's line lies."""

    file: _GrowingFile
    offset: int
    length: int
    number: int


class LiveTraces:
    """Every trace of some runs: evaluated rows and rollouts, as far as they have been written.

    Not safe for threads: one caller at a time.

    Args:
        runs: run folders, in the order in which a page shows them.
        lexicon: name of the one whose words are marked; that of the first run's analysis by default.
    """

    def __init__(self, runs: Sequence[ViewedRun], lexicon: str = "") -> None:
        self.runs = runs
        self._name = lexicon
        self.generation = 0
        self._begin()

    def state(self) -> dict[str, Any]:
        """What the page shows beside the traces: `{"runs", "lexicon", "generation", "running", "unreadable"}`."""
        if any(file.replaced() for file in self._files) or self._analyses != self._found_analyses():
            self.generation += 1
            self._begin()
        states = [RunFolder(run.path).status().get("state") for run in self.runs]
        return {
            "runs": [run.label for run in self.runs],
            "lexicon": self._lexicon.name if self._lexicon else "",
            "generation": self.generation,
            "running": "running" in states,
            "unreadable": sum(file.unreadable for file in self._files),
        }

    def index(self, start: int) -> dict[str, Any]:
        """The index from trace `start` on, read on first; `more` says that the files have further rows."""
        more = self._read_on()
        return {**self._index.part(min(max(start, 0), self._index.count)), "more": more}

    def chunk(self, start: int, end: int) -> bytes:
        """Texts and tokens of traces `start` to `end`, as `lrmctl.viewer.packing` has them.

        Raises:
            OSError: a file is gone.
        """
        end = min(end, start + CHUNK_TRACES)
        return pack_chunk(record for place in self._places[start:end] for record in [place.file.again(place)] if record)

    def __len__(self) -> int:
        return self._index.count

    def _begin(self) -> None:
        self._index, self._places = IndexPacker(), list[_Place]()
        chosen = self._name or next((lexicon_of(run.path) for run in self.runs), "")
        self._lexicon = find_lexicon(chosen) if chosen else None
        self._files = [file for run in self.runs for file in _files(run, self._lexicon)]
        self._analyses = self._found_analyses()

    def _found_analyses(self) -> list[tuple[str, int, int]]:
        """The results of analyses with what changes when one is written: each is written once, when its part ends."""
        results = (path for run in self.runs for path in sorted((run.path / "analysis").glob("*.json")))
        return [(str(path), stat.st_ino, stat.st_mtime_ns) for path in results if (stat := _stat(path))]

    def _read_on(self) -> bool:
        left = ROWS_A_LOOK
        for file in self._files:
            for place, record in file.new_lines():
                self._places.append(place)
                self._index.add(record)
                left -= 1
                if left == 0:
                    return True
        return False


class _GrowingFile:
    """A file of lines, each a record or passed over."""

    def __init__(self, path: Path, reader: Callable[[], Reader]) -> None:
        self._path, self._make_reader = path, reader
        self._read: Reader | None = None
        self._offset = self._number = 0
        self._identity: tuple[int, int] | None = None
        self.unreadable = 0

    def new_lines(self) -> Iterator[tuple[_Place, Record]]:
        """Whole lines since the last look; what is taken is not given again."""
        if not self._path.is_file():
            return
        with self._path.open("rb") as file:
            self._identity = self._identity or _identity(os.fstat(file.fileno()))
            file.seek(self._offset)
            for line in file:
                if not line.endswith(b"\n"):
                    return
                self._number += 1
                place = _Place(self, self._offset, len(line), self._number)
                self._offset += len(line)
                if record := self._record(line, self._number):
                    yield place, record
                elif not line.isspace():
                    self.unreadable += 1

    def again(self, place: _Place) -> Record | None:
        """The record of a line that was read before."""
        with self._path.open("rb") as file:
            file.seek(place.offset)
            return self._record(file.read(place.length), place.number)

    def replaced(self) -> bool:
        """Whether another file lies there than the one that was read, or less of it."""
        if self._identity is None:
            return False
        stat = _stat(self._path)
        return stat is None or _identity(stat) != self._identity or stat.st_size < self._offset

    def _record(self, line: bytes, number: int) -> Record | None:
        self._read = self._read or self._make_reader()
        return self._read(line, number)


def _identity(stat: os.stat_result) -> tuple[int, int]:
    return stat.st_dev, stat.st_ino


def _stat(path: Path) -> os.stat_result | None:
    """None if the file is gone."""
    try:
        return path.stat()
    except OSError:
        return None


def _files(run: ViewedRun, lexicon: Lexicon | None) -> list[_GrowingFile]:
    return [
        _GrowingFile(run.path / "eval" / "rows.jsonl", lambda: row_reader(run, lexicon)),
        _GrowingFile(run.path / "rollouts.jsonl", lambda: rollout_reader(run, lexicon)),
    ]
