"""Traces inside an HTML page: gzip and base64 in elements that no browser runs, unpacked by the page's script."""

from __future__ import annotations

import base64
import heapq
import os
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple

from lrmctl.lexicons import Lexicon, find_lexicon
from lrmctl.runs.eval_rows import EvalRow, eval_rows
from lrmctl.viewer.annotations import Annotations
from lrmctl.viewer.packing import IndexPacker, as_json, pack_chunk
from lrmctl.viewer.records import Record, ViewedRun, of_row

DEFAULT_LIMIT = 10_000
"""Traces of one run that a page holds."""
MOST_CHARACTERS = 400_000_000
"""Of thinking and answers in one page, all runs together: browsers and mail programs give up on larger files."""
CHUNK_CHARACTERS = 600_000
CHUNK_TRACES = 256
_LEVEL = 5
"""Of zlib: a tenth larger than the best, in a third of the time."""


@dataclass(frozen=True)
class EmbeddedTraces:
    """Traces as elements of a page.

    Attributes:
        index: an HTML element that has to stand before the script; empty if there are no traces.
        chunks: elements that may stand after it. No model text in either could be read as markup.
        count: traces in it.
        left_out: sentences about traces that are not in it.
    """

    index: str
    chunks: str
    count: int
    left_out: list[str]


def embed(
    runs: Sequence[ViewedRun],
    *,
    lexicon: str = "",
    limit: int = DEFAULT_LIMIT,
    most_characters: int = MOST_CHARACTERS,
) -> EmbeddedTraces:
    """Every evaluated trace of some runs; of too many those of the same prompts in every run.

    Args:
        lexicon: name of the one whose words are marked; a name that nothing has marks none.
        limit: traces of each run.
        most_characters: in thinking and answers of all runs.

    Raises:
        LrmctlError: a file of a run is not what lrmctl wrote.
    """
    words = find_lexicon(lexicon) if lexicon else None
    index, chunks, left_out = IndexPacker(), _Chunks(), list[str]()
    for run in runs:
        chosen = _choose(run.path, limit, most_characters // max(1, len(runs)))
        if chosen.said:
            left_out.append(f"{run.label}: {chosen.said}")
        for record in _records(run, words, chosen.keeps):
            index.add(record)
            chunks.add(record)
    elements = chunks.finish()
    head = {
        "format": 1,
        "lexicon": words.name if words else "",
        "runs": [run.label for run in runs],
        "left_out": left_out,
        "chunks": chunks.starts,
        "index": index.part(),
    }
    first = _element("lrmctl-index", as_json(head)) if index.count else ""
    return EmbeddedTraces(first, "\n".join(elements), index.count, left_out)


class _Chosen(NamedTuple):
    keeps: Callable[[EvalRow], bool]
    said: str = ""


def _choose(run: Path, limit: int, most_characters: int) -> _Chosen:
    """Which traces of a run are taken: all, or whole prompts by a hash that is the same for every run."""
    if _is_small(run / "eval" / "rows.jsonl", limit, most_characters):
        return _Chosen(lambda _: True)
    traces, characters = Counter[bytes](), Counter[bytes]()
    for row in _rows(run):
        key = _key(row)
        traces[key] += 1
        characters[key] += len(row.trace.thinking) + len(row.trace.answer)
    if traces.total() <= limit and characters.total() <= most_characters:
        return _Chosen(lambda _: True)
    taken, n, size = set[bytes](), 0, 0
    for key in heapq.nsmallest(len(traces), traces):
        n, size = n + traces[key], size + characters[key]
        if n > limit or size > most_characters:
            break
        taken.add(key)
    kept = sum(traces[key] for key in taken)
    why = f"at most {limit:,} of each arm" if traces.total() > limit else "what a browser can hold"
    said = (
        f"{kept:,} of {traces.total():,} traces are in this page ({why}): all samples of {len(taken):,} of "
        f"{len(traces):,} prompts, chosen by a hash of their names; the rest is in eval/rows.jsonl"
    )
    return _Chosen(lambda row: _key(row) in taken, said)


def _is_small(path: Path, lines: int, size: int) -> bool:
    """Whether so few bytes and lines are in a file that nothing has to be left out; cheaper than reading its rows."""
    if not path.is_file():
        return True
    with path.open("rb") as file:
        return path.stat().st_size <= size and sum(1 for _ in file) <= lines


def _key(row: EvalRow) -> bytes:
    name = f"{row.set}\0{row.trace.prompt.id}"
    return blake2b(name.encode("utf-8", "backslashreplace"), digest_size=12).digest()


def _rows(run: Path) -> Iterator[EvalRow]:
    path = run / "eval" / "rows.jsonl"
    return eval_rows(path) if path.is_file() else iter(())


def _records(run: ViewedRun, words: Lexicon | None, keeps: Callable[[EvalRow], bool]) -> Iterator[Record]:
    known = Annotations(run.path)
    return (of_row(row, run.label, words, known) for row in _rows(run.path) if keeps(row))


class _Chunks:
    """Elements of texts, each of some hundred traces; closed by size, compressed by other threads."""

    def __init__(self) -> None:
        self.starts: list[int] = []
        self._elements: list[Future[str]] = []
        self._threads = ThreadPoolExecutor(min(4, os.cpu_count() or 1))
        self._open: list[Record] = []
        self._size = self._count = 0

    def add(self, record: Record) -> None:
        self._open.append(record)
        self._size += int(record.index["characters"])
        if self._size >= CHUNK_CHARACTERS or len(self._open) >= CHUNK_TRACES:
            self._close()

    def finish(self) -> list[str]:
        """All elements, in order."""
        self._close()
        with self._threads:
            return [element.result() for element in self._elements]

    def _close(self) -> None:
        if not self._open:
            return
        id, content = f"lrmctl-chunk-{len(self.starts)}", pack_chunk(self._open)
        self._elements.append(self._threads.submit(_element, id, content))
        self.starts.append(self._count)
        self._count += len(self._open)
        self._open, self._size = [], 0


def _element(id: str, content: bytes) -> str:
    """A data block: a browser keeps the text of a script of an unknown type and does nothing with it."""
    text = base64.b64encode(zlib.compress(content, _LEVEL, wbits=31)).decode()
    return f'<script type="application/octet-stream" id="{id}">{text}</script>'
