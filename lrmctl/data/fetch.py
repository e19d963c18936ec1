"""Loads the rows of a catalogued data set from a given file, LRMCTL_DATA_DIR, a fixed address, or the hub.

Returns their origin for the lock file; does not change rows. Knows no prompts and no recipes.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from lrmctl.data.catalog import DataSet
from lrmctl.errors import LrmctlError, NotFoundError, RecipeError
from lrmctl.rows.files import ENDINGS, existing, file_sha256
from lrmctl.rows.files import read_rows as rows_of_file
from lrmctl.rows.located import LocatedRow as LocatedRow
from lrmctl.rows.located import located

FOLDER = "LRMCTL_DATA_DIR"
Row = Mapping[str, Any]


@dataclass(frozen=True)
class FetchedRows:
    """Rows and their origin (see `CatalogSource.provenance`)."""

    rows: tuple[Row, ...]
    facts: Mapping[str, Any]


def fetch(data: DataSet, path: str | None = None, revision: str | None = None) -> FetchedRows:
    """All rows of a data set.

    Args:
        path: a local file instead of the catalogue's location (see `lrmctl.rows.files`), or a folder with a copy of the
            hub's repository.
        revision: hub revision instead of the catalogue's.

    Raises:
        NotFoundError: it is unavailable; says how to get it.
        RecipeError: there are no rows, or they lack expected columns.
    """
    path = path or local_file(data)
    fetched = _kept(data, path, revision or data.revision, _stamp(path))
    if not fetched.rows:
        fix = "the file is empty: give one with at least one row"
        raise RecipeError(f"the data set {data.name!r} has no rows", str(fetched.facts.get("file", data.url)), fix)
    if missing := [c for c in data.columns if c not in fetched.rows[0]]:
        raise RecipeError(
            f"rows of {data.name!r} have no column {', '.join(missing)}; they have {', '.join(fetched.rows[0])}",
            str(fetched.facts.get("file", data.url)),
            f"give the data set's own file (see {data.url})",
        )
    return fetched


def local_file(data: DataSet) -> str | None:
    """The data set's file in LRMCTL_DATA_DIR, under its catalogue name or named by its split in another format."""
    folder = os.environ.get(FOLDER)
    if not folder:
        return None
    own = Path(folder) / data.file
    others = [own.with_name(f"{data.split}{suffix}") for suffix in ENDINGS]
    return next((str(file) for file in (own, *others) if file.is_file()), None)


def _stamp(path: str | None) -> tuple[int, int]:
    """Modification time and size of a local file, so that a changed file is read again."""
    try:
        found = Path(path or "").expanduser().stat()
    except OSError:
        return 0, 0
    return found.st_mtime_ns, found.st_size


@lru_cache(maxsize=16)  # a run requests prompts, then provenance
def _kept(data: DataSet, path: str | None, revision: str | None, _: tuple[int, int]) -> FetchedRows:
    return _fetch(data, path, revision)


def _fetch(data: DataSet, path: str | None, revision: str | None) -> FetchedRows:
    told = {"name": data.name, "license": data.license, "url": data.url, "expected_rows": data.rows or None}
    origin: dict[str, Any]
    local = Path(path).expanduser() if path else None
    if local and local.is_dir():
        rows, origin = _from_folder(data, local)
    elif local:
        rows = read_rows(existing(local))
        origin = {"file": path, "sha256": file_sha256(local), "sha256_of": "file"}
    elif data.download:
        rows, origin = _download(data)
    else:
        rows, origin = _from_hub(data, revision)
    if data.lower:
        rows = [LocatedRow({str(k).lower(): v for k, v in row.items()}, row.where, row.number) for row in rows]
    return FetchedRows(tuple(rows), {**told, **origin, "rows": len(rows)})


def read_rows(file: Path) -> list[LocatedRow]:
    """Rows of a local file, read by `lrmctl.rows.files`.

    Raises:
        NotFoundError: no such file.
        RecipeError: it is not valid for the format that its name indicates.
    """
    return list(rows_of_file(file))


def _parse(content: bytes, suffix: str, source: str) -> list[LocatedRow]:
    """Rows of downloaded content."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / f"rows{suffix}"
        file.write_bytes(content)
        return [LocatedRow(row, f"{source}:{row.number}", row.number) for row in rows_of_file(file)]


def _download(data: DataSet) -> tuple[list[LocatedRow], dict[str, Any]]:
    """Download a file from a fixed address and verify its sha256."""
    import httpx

    if os.environ.get("HF_HUB_OFFLINE") == "1":  # one switch for all downloads
        raise _unreachable(data, "HF_HUB_OFFLINE is set")
    try:
        answer = httpx.get(data.download, follow_redirects=True, timeout=60).raise_for_status()
    except httpx.HTTPError as error:
        raise _unreachable(data, f"{data.download}: {error}") from error
    found = hashlib.sha256(answer.content).hexdigest()
    if data.sha256 and found != data.sha256:
        raise NotFoundError(
            f"the file of {data.name!r} is not the one that is known: its sha256 is {found}",
            data.download,
            f"put a file that you trust at ${FOLDER}/{data.file}",
        )
    try:
        rows = _parse(answer.content, Path(data.download).suffix, data.download)
    except LrmctlError as error:
        raise _unreachable(data, f"{data.download} holds something else: {error}") from error
    return rows, {"download": data.download, "sha256": found, "sha256_of": "file"}


def _from_folder(data: DataSet, folder: Path) -> tuple[list[LocatedRow], dict[str, Any]]:
    """Rows of a local copy of the hub's repository, read like the hub's."""
    from datasets import load_dataset

    try:
        found = load_dataset(str(folder), data.config, split=data.split, **dict(data.reader))
        rows = [located(dict(row), str(folder), i) for i, row in enumerate(found, 1)]
    except Exception as error:  # the library raises many unrelated types for "cannot read it"
        what = f"the data set {data.name!r} cannot be read: {type(error).__name__}: {_first_line(error)}"
        fix = f"give a copy of {data.hub or data.url}, with its README.md, or a single file"
        raise NotFoundError(what, str(folder), fix) from error
    return rows, {"folder": str(folder), "sha256": rows_sha256(rows), "sha256_of": "rows"}


def _from_hub(data: DataSet, revision: str | None) -> tuple[list[LocatedRow], dict[str, Any]]:
    from datasets import load_dataset

    try:
        split = load_dataset(data.hub, data.config, split=data.split, revision=revision, **dict(data.reader))
        rows = [located(dict(row), data.hub, i) for i, row in enumerate(split, 1)]
        revision = revision or _latest(data.hub)
    except Exception as error:  # the library raises many unrelated types for "cannot get it"
        raise _unreachable(data, f"{type(error).__name__}: {_first_line(error)}") from error
    return rows, {"hub": data.hub, "revision": revision, "sha256": rows_sha256(rows), "sha256_of": "rows"}


def _latest(hub: str) -> str | None:
    """The current commit on the hub; None if unavailable."""
    from huggingface_hub import HfApi

    try:
        return HfApi().dataset_info(hub).sha
    except Exception:  # offline with a filled cache: the hash of the rows must suffice
        return None


def rows_sha256(rows: Iterable[Row]) -> str:
    """sha256 over the rows as JSON lines with sorted keys: the same for any file format."""
    total = hashlib.sha256()
    for row in rows:
        total.update(json.dumps(row, sort_keys=True, ensure_ascii=False, default=str).encode() + b"\n")
    return total.hexdigest()


def _unreachable(data: DataSet, reason: str) -> NotFoundError:
    gate = f"accept the owners' terms at {data.url} and `hf auth login`, or " if data.gated else ""
    ways = f"put a copy at ${FOLDER}/{data.file}, or name one with `options: {{path: ...}}`"
    return NotFoundError(f"the data set {data.hub or data.name!r} cannot be had: {reason}", fix=f"{gate}{ways}")


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).strip().splitlines()), "")
