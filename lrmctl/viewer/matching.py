"""The traces of runs that fulfil a condition, one in memory at a time, with the line that each is stored as."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from lrmctl._util.suggest import did_you_mean
from lrmctl.errors import NotFoundError
from lrmctl.lexicons import find_lexicon
from lrmctl.viewer.annotations import lexicon_of
from lrmctl.viewer.query import NONE, Query, value_of
from lrmctl.viewer.readers import Reader, rollout_reader, row_reader
from lrmctl.viewer.records import Record, ViewedRun

ROWS, ROLLOUTS = Path("eval", "rows.jsonl"), Path("rollouts.jsonl")


class FoundTrace(NamedTuple):
    """One match.

    Attributes:
        run: its label.
        path: file that it is in.
        line: number of its line, from 1.
        stored: the line without its end: a JSON object.
    """

    run: str
    path: Path
    line: int
    stored: bytes
    record: Record


class MatchingTraces:
    """Traces that fulfil a condition, in the order of the files.

    Args:
        rollouts: rollouts of trainings too, after each run's evaluated rows.

    Attributes:
        read: traces looked at so far.
        unreadable: lines that were passed over, because they hold no trace.
    """

    def __init__(self, runs: Sequence[ViewedRun], query: Query, *, rollouts: bool = False) -> None:
        self.runs, self.query, self.rollouts = runs, query, rollouts
        self.read = self.unreadable = 0
        self._seen: dict[str, set[str]] = {name: set() for name, _ in query.asked}

    def __iter__(self) -> Iterator[FoundTrace]:
        """Every match.

        Raises:
            NotFoundError: no run has such a file; or nothing matches, and no trace has a value that was asked for.
        """
        found = 0
        for trace in self._all():
            self.read += 1
            for name, values in self._seen.items():
                values.add(str(value_of(trace.record, name)))
            if self.query.matches(trace.record):
                found += 1
                yield trace
        if not found:
            self._refuse_unknown()

    def _all(self) -> Iterator[FoundTrace]:
        files = [(run, run.path / name) for run in self.runs for name in self._names() if (run.path / name).is_file()]
        if not files:
            self._refuse_empty()
        for run, path in files:
            yield from self._lines(run, path)

    def _names(self) -> Sequence[Path]:
        return (ROWS, ROLLOUTS) if self.rollouts else (ROWS,)

    def _lines(self, run: ViewedRun, path: Path) -> Iterator[FoundTrace]:
        lexicon = find_lexicon(lexicon_of(run.path))
        read: Reader = (row_reader if path.name == ROWS.name else rollout_reader)(run, lexicon)
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                if not line.endswith(b"\n") or line.isspace():  # an incomplete last line is being written
                    continue
                record = read(line, number)
                if record is None:
                    self.unreadable += 1
                else:
                    yield FoundTrace(run.label, path, number, line.strip(), record)

    def _refuse_unknown(self) -> None:
        for name, value in self.query.asked:
            if value not in self._seen[name]:
                known = self._seen[name] - {NONE}
                fix = did_you_mean(value, known) if known else f"no trace has a {name}"
                raise NotFoundError(f"no trace has {name}={value}", repr(self.query.text), fix)

    def _refuse_empty(self) -> None:
        run = self.runs[0]
        rolled = not self.rollouts and any((one.path / ROLLOUTS).is_file() for one in self.runs)
        what = f"{run.label} has no evaluated rows" if len(self.runs) == 1 else "none of the runs has evaluated rows"
        fix = "add --rollouts for those of its training" if rolled else "run `lrmctl eval` on it first"
        raise NotFoundError(what, str(run.path / ROWS), fix)
