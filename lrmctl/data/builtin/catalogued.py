"""A source over a catalogued data set, loaded when rows are first requested.

Reading one row is specific to each data set (`safety`, `mathematics`); selecting rows, ids, and provenance are here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from random import Random
from typing import Any

from lrmctl.data.catalog import DataSet
from lrmctl.data.fetch import FetchedRows, Row, fetch
from lrmctl.data.sources import Demonstration, unfit
from lrmctl.errors import RecipeError
from lrmctl.hooks.specs import Source
from lrmctl.thinking import MENTIONED, split_unseen
from lrmctl.types import Kind, Prompt


@dataclass(frozen=True)
class RowReader:
    """How the rows of one data set are read.

    Attributes:
        text: the user's message.
        kind: the prompt kind.
        response: thinking and answer, or None for a row without closed thinking; if not set, there are only prompts.
        reference: the gold answer of a reasoning prompt.
        keep: whether to use a row.
    """

    data: DataSet
    text: Callable[[Row], str]
    kind: Callable[[Row], Kind]
    response: Callable[[Row], tuple[str, str] | None] | None = None
    reference: Callable[[Row], str | None] = lambda _: None
    keep: Callable[[Row], bool] = lambda _: True
    id: str = "id"
    meta: tuple[str, ...] = ()


class CatalogSource(Source):
    """A `Source` over one public data set.

    Args:
        n: use only this many rows, sampled with `seed`, in the data set's order; all by default.
        path: a local file instead of the hub's (see `lrmctl.data.fetch`).
        revision: hub revision instead of the catalogue's.
    """

    def __init__(self, reader: RowReader, n: int | None, seed: int, path: str | None, revision: str | None) -> None:
        if n is not None and n < 1:
            raise RecipeError(f"n is {n}", f"source {reader.data.name}", "ask for at least one row, or leave it out")
        self._reader, self._n, self._seed, self._path, self._revision = reader, n, seed, path, revision

    @property
    def data(self) -> DataSet:
        return self._reader.data

    def prompts(self) -> list[Prompt]:
        return [self._prompt(i, row) for i, row in self._chosen(self._whole)]

    def demonstrations(self) -> list[Demonstration]:
        response = self._reader.response
        if response is None:
            raise RecipeError(
                f"the source {self.data.name!r} has prompts only", fix="use it under `prompts:`, or take another source"
            )
        told = [(self._prompt(i, row), response(row)) for i, row in self._chosen(self._closed)]
        return [Demonstration(prompt, *said) for prompt, said in told if said]

    def provenance(self) -> dict[str, Any]:
        """For the lock file: name, licence, url, file or hub and revision, sha256, rows found and expected."""
        chosen = {"n": self._n, "seed": self._seed} if self._n else {}
        unclosed = {"without_closed_thinking": len(self._whole) - len(self._closed)} if self._reader.response else {}
        return {**self._fetched.facts, "kept": len(self._whole), **unclosed, **chosen}

    @cached_property
    def _fetched(self) -> FetchedRows:
        return fetch(self.data, self._path, self._revision)

    @cached_property
    def _whole(self) -> list[tuple[int, Row]]:
        return [(i, row) for i, row in enumerate(self._fetched.rows) if self._reader.keep(row)]

    @cached_property
    def _closed(self) -> list[tuple[int, Row]]:
        response = self._reader.response
        return [(i, row) for i, row in self._whole if response is None or response(row)]

    def _chosen(self, rows: Sequence[tuple[int, Row]]) -> list[tuple[int, Row]]:
        if self._n is None or self._n >= len(rows):
            return list(rows)
        order = sorted(Random(f"{self._seed}/{self.data.name}").sample(range(len(rows)), self._n))
        return [rows[i] for i in order]

    def _prompt(self, index: int, row: Row) -> Prompt:
        reader = self._reader
        text = reader.text(row).strip()
        if not text:
            raise RecipeError(f"row {index + 1} of {self.data.name!r} has no prompt", self.data.url)
        return Prompt.user(
            f"{self.data.name}/{row.get(reader.id) or index}",
            text,
            reader.kind(row),
            source=self.data.name,
            reference=reader.reference(row),
            meta={key: row[key] for key in reader.meta if row.get(key)},
        )


def always(kind: Kind) -> Callable[[Row], Kind]:
    """Assigns this kind to every row."""
    return lambda _: kind


def column(name: str) -> Callable[[Row], str]:
    """Reads the text of one column."""
    return lambda row: str(row[name] or "")


def thought_and_answer(name: str) -> Callable[[Row], tuple[str, str] | None]:
    """Reads thinking and answer in any format; the opening tag may be missing, because templates may write it."""

    def read(row: Row) -> tuple[str, str] | None:
        text = str(row[name] or "")
        split = split_unseen(text)
        regular = split.state == "closed" and not set(split.irregular) - {MENTIONED}
        good = regular and not unfit(split.thinking, split.answer)
        return (split.thinking, split.answer) if good else None

    return read
