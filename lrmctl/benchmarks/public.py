"""A public data set, or a split of it, as a benchmark: prompts with stable ids, checked for completeness.

Rows come from `lrmctl.data.fetch`; each set defines the meaning of its rows (`declared`, `two_way`, `custom`). Making a
benchmark reads nothing. Knows no recipes, no judges and no models.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from random import Random
from typing import Any

from lrmctl._util.text import is_blank
from lrmctl.data.catalog import DataSet
from lrmctl.data.fetch import FOLDER, FetchedRows, Row, fetch, local_file
from lrmctl.errors import RecipeError
from lrmctl.hooks.specs import Benchmark
from lrmctl.models.availability import hub_snapshot
from lrmctl.rows.values import missing, plain_text, quoted_value
from lrmctl.types import Kind, Prompt

Messages = tuple[Mapping[str, str], ...]


@dataclass(frozen=True)
class RowSelection:
    """What a benchmark uses of a data set, and how it reads a row.

    Attributes:
        split: added to the name; empty for a set that is used as a whole.
        kinds: possible kinds of its prompts.
        rows: published number of prompts in this split; None if there is none.
        text: the user's message, or a whole conversation.
        kind: kind of one row.
        id: id of one row, stable across copies of the set; derived from the text if the set has no ids.
        keep: filter for the rows of this split.
        meta: key -> fields of a row for judges and readers; empty values are left out.
        own: the user's own, unpublished prompts.
    """

    data: DataSet
    name: str
    split: str
    kinds: tuple[Kind, ...]
    rows: int | None
    text: Callable[[Row], str | Messages]
    kind: Callable[[Row], Kind]
    id: Callable[[Row], str] | None = None
    keep: Callable[[Row], bool] = lambda _: True
    meta: Mapping[str, Callable[[Row], Any]] = field(default_factory=dict)
    own: bool = False


class PublicBenchmark(Benchmark):
    """A `Benchmark` over a public data set.

    Args:
        n: number of prompts, drawn by `seed`, in the set's order; all by default.
        path: a local file, or a folder with a copy of the hub's repository, instead of the published location.
        revision: of the hub, instead of the catalogue's.
        any_size: accept a file without the published number of rows.
    """

    def __init__(
        self,
        selection: RowSelection,
        n: int | None = None,
        seed: int = 0,
        path: str | None = None,
        revision: str | None = None,
        any_size: bool = False,
    ) -> None:
        if n is not None and (not isinstance(n, int) or n < 1):
            raise RecipeError(f"n is {n!r}", f"benchmark {selection.name}", "ask for at least one, or leave it out")
        self.selection, self._any_size = selection, any_size
        self._n, self._seed, self._path, self._revision = n, seed, path, revision
        self.name, self.split, self.kinds = selection.name, selection.split, selection.kinds
        self.license, self.url = selection.data.license, selection.data.url

    def load(self) -> list[Prompt]:
        """The prompts.

        Raises:
            NotFoundError: the set is not available; says how to get it.
            RecipeError: the rows are not those of the published set.
        """
        prompts = self._prompts
        if self._n is None or self._n >= len(prompts):
            return list(prompts)
        chosen = sorted(Random(f"{self._seed}/{self.name}/{self.split}").sample(range(len(prompts)), self._n))
        return [prompts[i] for i in chosen]

    def provenance(self) -> dict[str, Any]:
        """Origin of the prompts: licence, url, file or hub and revision, sha256, rows found and published."""
        known = {"sha256_published": self.selection.data.sha256} if self.selection.data.sha256 else {}
        chosen = {"n": self._n, "seed": self._seed} if self._n else {}
        prompts = {"prompts": len(self._prompts), "expected_prompts": self.selection.rows}
        gate = {"gated": self.selection.data.gated}
        asked = {"prompts_sha256": prompts_sha256(self.load())}
        return {**self._fetched.facts, **known, **gate, **prompts, **asked, **chosen}

    def unavailable_reason(self) -> str:
        """Why the set would have to be downloaded first; empty if it is on this machine."""
        data = self.selection.data
        if self._path or local_file(data) or (data.hub and hub_snapshot(data.hub, "datasets")):
            return ""
        return f"the data set {data.name} is not on this machine (fix: {how_to_get(data)})"

    @cached_property
    def _fetched(self) -> FetchedRows:
        return fetch(self.selection.data, self._path or local_file(self.selection.data), self._revision)

    @cached_property
    def _prompts(self) -> tuple[Prompt, ...]:
        rows = [row for row in self._fetched.rows if self.selection.keep(row)]
        self._check_size(len(self._fetched.rows), len(rows))
        texts = [asked.strip() if isinstance(asked := self.selection.text(row), str) else asked for row in rows]
        if empty := [i for i, text in enumerate(texts) if isinstance(text, str) and is_blank(text)]:
            raise self._wrong(f"prompt {empty[0] + 1} is empty", place_of(rows[empty[0]]))
        ids = self._ids(rows, texts)
        return tuple(self._prompt(*one) for one in zip(ids, rows, texts, strict=True))

    def _check_size(self, whole: int, kept: int) -> None:
        """Accept the whole set, or a file that contains this split and nothing else."""
        published, split = self.selection.data.rows, self.selection.rows
        if self._any_size or split is None:
            if not kept:
                raise self._wrong(f"none of its {whole} rows is one of {self.split or 'the set'}")
            return
        if kept == split and whole in (published, kept):
            return
        if whole != published:
            raise self._wrong(f"it has {whole} rows, not {published}")
        raise self._wrong(f"{kept} of its {whole} rows are of {self.split or 'the set'}, not {split}")

    def _wrong(self, what: str, place: str = "") -> RecipeError:
        data, where = self.selection.data, self._fetched.facts
        found = place or str(where.get("file") or where.get("folder") or where.get("download") or data.url)
        if self.selection.own:
            return RecipeError(f"the prompts of {data.name!r} are not as the recipe says: {what}", found)
        fix = f"give the whole set (see {data.url}), or allow other sizes with `any_size: true`"
        return RecipeError(f"the data set {data.name!r} is not the published one: {what}", found, fix)

    def _ids(self, rows: Sequence[Row], texts: Sequence[str | Messages]) -> list[str]:
        """The set's own ids, or ids derived from the text; duplicates get a number."""
        own = self.selection.id
        found = [own(row) if own else _digest(text) for row, text in zip(rows, texts, strict=True)]
        seen: Counter[str] = Counter()
        ids = []
        for one in found:
            seen[one] += 1
            ids.append(f"{self.name}/{one}" + (f"-{seen[one]}" if seen[one] > 1 else ""))
        return ids

    def _prompt(self, id: str, row: Row, asked: str | Messages) -> Prompt:
        messages = ({"role": "user", "content": asked},) if isinstance(asked, str) else asked
        meta = {key: value for key, read in self.selection.meta.items() if (value := read(row)) not in (None, "")}
        return Prompt(id, messages, self.selection.kind(row), source=self.name, meta=meta)


def how_to_get(data: DataSet) -> str:
    """One sentence on how to get the set."""
    place = f"put a copy at ${FOLDER}/{data.file}, or name one with `options: {{path: ...}}`"
    if data.gated:
        return f"accept the owners' terms at {data.url}, then `hf auth login`; or {place}"
    return f"it is downloaded when it is first asked for; or {place}"


def prompts_sha256(prompts: Sequence[Prompt]) -> str:
    """sha256 over ids, messages and kinds, in order: equal if two evaluations used the same prompts."""
    asked = [[p.id, [dict(m) for m in p.messages], p.kind] for p in prompts]
    return hashlib.sha256(json.dumps(asked, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def _digest(asked: str | Messages) -> str:
    text = asked if isinstance(asked, str) else json.dumps([dict(m) for m in asked], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def place_of(row: Row) -> str:
    """File and line of a row, if known."""
    return str(getattr(row, "where", ""))


def column(name: str) -> Callable[[Row], str]:
    """A function that returns the text of a column; empty if missing. Numbers are formatted as people write them.

    It raises RecipeError on a value that is neither text nor a number.
    """

    def read(row: Row) -> str:
        value = row.get(name)
        if missing(value):
            return ""
        if isinstance(value, (list, Mapping, bytes)):
            what = f"column {name!r}: is {quoted_value(value)}, not a text"
            raise RecipeError(what, place_of(row), "name a column that holds texts")
        return plain_text(value)

    return read


def columns(*names: str, **renamed: str) -> dict[str, Callable[[Row], str]]:
    """Meta fields under the columns' own names, or as name = column."""
    return {key: column(name) for key, name in {**dict(zip(names, names, strict=True)), **renamed}.items()}
