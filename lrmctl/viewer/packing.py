"""Records as bytes: an index by columns that a page filters and sorts by, and chunks of texts that it opens on demand.

chunk = length of the JSON (4 bytes, little end first), JSON, then the tokens of its traces one after the other:
        entropies, divergences if there are any, distances of starts (see `lrmctl.viewer.annotations`)
"""

from __future__ import annotations

import json
import struct
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from typing import Any

from lrmctl.viewer.records import NUMBERS, WORDS, Record


class IndexPacker:
    """The index of records as they come; what was handed out need not be handed out again.

    A word is numbered within its field when it is first seen, so that a part of the index names only words that no
    part before it had.
    """

    def __init__(self) -> None:
        self.count = 0
        self._words: dict[str, dict[str, int]] = {field: {} for field in WORDS}
        self._first_seen: dict[str, list[int]] = {field: [] for field in WORDS}
        self._snippets: list[str] = []
        self._columns: dict[str, list[Any]] = {field: [] for field in (*WORDS, *NUMBERS)}

    def add(self, record: Record) -> None:
        """Add one record; its number is `count` before the call."""
        for field in WORDS:
            known = self._words[field]
            word = str(record.index[field])
            number = known.setdefault(word, len(known))
            if number == len(self._first_seen[field]):
                self._first_seen[field].append(self.count)
                if field == "prompt":
                    self._snippets.append(record.snippet)
            self._columns[field].append(number)
        for field in NUMBERS:
            self._columns[field].append(record.index[field])
        self.count += 1

    def part(self, start: int = 0, end: int | None = None) -> dict[str, Any]:
        """Records `start` to `end` for JSON: `{"from", "count", "words", "snippets", "columns"}`; words and snippets
        are those that no earlier record has. A column in which all values are one is that value."""
        end = self.count if end is None else min(end, self.count)
        new = {
            field: slice(*(bisect_left(seen, at) for at in (start, end))) for field, seen in self._first_seen.items()
        }
        return {
            "from": start,
            "count": max(0, end - start),
            "words": {field: list(found)[new[field]] for field, found in self._words.items()},
            "snippets": self._snippets[new["prompt"]],
            "columns": {field: _shorten(column[start:end]) for field, column in self._columns.items()},
        }


def _shorten(column: Sequence[Any]) -> Any:
    """A column in which all values are one is that value."""
    return column[0] if column and all(value == column[0] for value in column) else column


def pack_chunk(records: Iterable[Record]) -> bytes:
    """The texts and tokens of some records; see the module."""
    columns: dict[str, list[Any]] = {}
    tokens: list[bytes] = []
    sizes: list[Any] = []
    count = 0
    for record in records:
        for key in record.text.keys() - columns.keys():
            columns[key] = [None] * count
        for key, column in columns.items():
            column.append(record.text.get(key))
        count += 1
        found = record.tokens
        if found is None:
            sizes.append(0)
        else:
            tokens += (found.entropy, found.kl, found.starts)
            sizes.append([found.count, len(found.starts), len(found.kl)])
    head = as_json({"count": count, "columns": dict(sorted(columns.items())), "tokens": sizes})
    return struct.pack("<I", len(head)) + head + b"".join(tokens)


def as_json(value: Any) -> bytes:
    """JSON in UTF-8; half a character (a lone surrogate) is written as its escape."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.encode("utf-8", "backslashreplace")
