"""A user's own prompts as a benchmark, declared in a recipe: a file, or a data set of the hub."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lrmctl._util.suggest import did_you_mean
from lrmctl.benchmarks.public import Messages, PublicBenchmark, RowSelection, column, place_of
from lrmctl.data.catalog import DataSet
from lrmctl.data.fetch import Row
from lrmctl.errors import RecipeError
from lrmctl.rows.located import LocatedRow as LocatedRow
from lrmctl.rows.located import located
from lrmctl.rows.prompts import SYSTEM, asked_of, plain_messages
from lrmctl.rows.values import plain_text
from lrmctl.types import Kind

_KINDS: tuple[Kind, ...] = ("harmful", "benign")
_UNSAID = "not stated in the recipe"
_USUAL = "prompt"


def _system(row: Row) -> dict[str, object]:
    return {name: row[name] for name in SYSTEM if name in row}


def prompts_file(
    path: str,
    prompt: str = "prompt",
    kind: str = "harmful",
    labels: Mapping[str, str] | None = None,
    context: str | None = None,
    id: str | None = None,
    meta: Sequence[str] = (),
    name: str | None = None,
    license: str = _UNSAID,
    url: str = "",
    split: str = "",
    rows: int | None = None,
    n: int | None = None,
    seed: int = 0,
) -> PublicBenchmark:
    """Prompts of a local .csv, .tsv, .jsonl, .json, .txt or .parquet file; a StrongREJECT-style file needs one line.

    Args:
        prompt: the column of the user's message or conversation; in a .txt file each line is a prompt.
        kind: `harmful`, `benign`, or the column that contains it.
        labels: meaning of the column's values, e.g. `{unsafe: harmful, safe: benign}`.
        context: a column that is put before the prompt.
        id: a column of ids; by default derived from the text of each prompt.
        meta: columns made available to judges and tables.
        name, license, url, split: printed with every result; the name is the file's by default.
        rows: required number of prompts.
        n, seed: number of prompts to draw, and the seed.
    """
    data = DataSet(name or Path(path).stem, license, (), rows or 0, url or path, file=path)
    read = _Reading(data.name, prompt, kind, labels or {}, context, id, tuple(meta))
    return PublicBenchmark(read.selection(data, split, rows), n, seed, path)


def prompts_hub(
    repo: str,
    prompt: str = "prompt",
    kind: str = "harmful",
    labels: Mapping[str, str] | None = None,
    context: str | None = None,
    id: str | None = None,
    meta: Sequence[str] = (),
    config: str | None = None,
    hub_split: str = "train",
    revision: str | None = None,
    name: str | None = None,
    license: str = _UNSAID,
    url: str = "",
    split: str = "",
    rows: int | None = None,
    n: int | None = None,
    seed: int = 0,
) -> PublicBenchmark:
    """Prompts of a hub data set, or of a local folder with a copy of one.

    Args:
        repo: its id or the folder.
        config, hub_split, revision: of the hub.
        prompt, kind, labels, context, id, meta, name, license, url, split, rows, n, seed: as for `prompts-file`.
    """
    folder = repo if Path(repo).expanduser().is_dir() else None
    page = url or (repo if folder else f"https://huggingface.co/datasets/{repo}")
    own = name or repo.rstrip("/").rpartition("/")[2].lower()
    file, hub = f"{own}/{hub_split}.jsonl", "" if folder else repo
    data = DataSet(own, license, (), rows or 0, page, file, hub=hub, config=config, split=hub_split)
    read = _Reading(own, prompt, kind, labels or {}, context, id, tuple(meta))
    return PublicBenchmark(read.selection(data, split, rows), n, seed, folder, revision)


@dataclass(frozen=True)
class _Reading:
    """The meaning of the user's columns. Each must exist."""

    benchmark: str
    prompt: str
    kind: str
    labels: Mapping[str, str]
    context: str | None
    id: str | None
    meta: tuple[str, ...]

    def __post_init__(self) -> None:
        if odd := sorted(set(self.labels.values()) - set(_KINDS)):
            raise RecipeError(f"a prompt is harmful or benign, not {odd[0]!r}", f"benchmark {self.benchmark}: labels")

    def selection(self, data: DataSet, split: str, rows: int | None) -> RowSelection:
        return RowSelection(
            data,
            self.benchmark,
            split,
            self._kinds,
            rows,
            self._text,
            self._kind,
            id=self._column(self.id) if self.id else None,
            meta={key: self._column(key) for key in self.meta},
            own=True,
        )

    @property
    def _kinds(self) -> tuple[Kind, ...]:
        return tuple(kind for kind in _KINDS if self.kind not in _KINDS or self.kind == kind)

    def _text(self, row: Row) -> str | Messages:
        """The named column as prompt; under its usual name, in any of the prompt formats of `lrmctl.rows`."""
        own = row if isinstance(row, LocatedRow) else located(row, self.benchmark, 1)
        if self.prompt != _USUAL:
            self._have(row, self.prompt)
            own = LocatedRow({"prompt": row[self.prompt], **_system(row)}, own.where, own.number)
        asked = plain_messages(asked_of(own).messages)
        before = self._column(self.context)(row) if self.context else ""
        if before:
            asked = (*asked[:-1], {**asked[-1], "content": f"{before}\n\n{asked[-1]['content']}"})
        return asked[0]["content"] if len(asked) == 1 else asked

    def _kind(self, row: Row) -> Kind:
        said = self.kind if self.kind in _KINDS else self._column(self.kind)(row)
        meant = {plain_text(key): value for key, value in self.labels.items()}.get(said, said)
        for kind in _KINDS:
            if meant == kind:
                return kind
        fix = f"say what it means, e.g. `labels: {{{said}: harmful}}`"
        place = place_of(row) or f"benchmark {self.benchmark}"
        raise RecipeError(f"{self.kind} is {said!r}, neither harmful nor benign", place, fix)

    def _column(self, name: str) -> Callable[[Row], str]:
        def read(row: Row) -> str:
            self._have(row, name)
            return column(name)(row)

        return read

    def _have(self, row: Row, name: str) -> None:
        if name not in row:
            place = f" ({place_of(row)})" if place_of(row) else ""
            where = f"benchmark {self.benchmark}{place}"
            raise RecipeError(f"there is no column {name!r}", where, did_you_mean(name, map(str, row)))
