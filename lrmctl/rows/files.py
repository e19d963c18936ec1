"""Rows of a file, each with its location: JSON lines, JSON, CSV, TSV, text and Parquet, plain or gzipped.

Text must be UTF-8, with or without a byte order mark; other encodings are errors and never guessed. Only line feeds and
carriage returns end a line. Content that is too large when decompressed, nested too deeply, or has duplicate keys is
rejected.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from pathlib import Path

from lrmctl.errors import NotFoundError, RecipeError
from lrmctl.rows import forms
from lrmctl.rows.content import BOM, open_bytes
from lrmctl.rows.located import LocatedRow

Reader = Callable[[Path], Iterator[LocatedRow]]
JSONL = (".jsonl", ".ndjson")
ENDINGS = (*JSONL, ".json", ".csv", ".tsv", ".txt", ".parquet")
FIX = "give a .jsonl, .json, .csv, .tsv, .txt or .parquet file, each also as .gz"


def read_rows(file: Path, *, n: int | None = None, torn: bool = False) -> Iterator[LocatedRow]:
    """The rows of a file, in order.

    Args:
        n: only the first n rows.
        torn: skip an incomplete last line, as left by a killed writer, with a message; otherwise it is an error.

    Raises:
        NotFoundError: no such file.
        RecipeError: an unknown format; or a row cannot be read, with its line (its number for Parquet).
    """
    found = _rows(existing(file), torn)
    return found if n is None else islice(found, n)


def all_rows(file: Path, *, n: int | None = None, torn: bool = False) -> list[LocatedRow]:
    """As `read_rows`, as a list.

    Raises:
        RecipeError: as `read_rows`; also if there are no rows.
    """
    found = list(read_rows(file, n=n, torn=torn))
    if not found:
        raise RecipeError("there are no rows", str(file), "the file is empty: give one with at least one row")
    return found


def existing(file: Path) -> Path:
    """The path with `~` expanded, if the file exists.

    Raises:
        NotFoundError: there is no such file.
    """
    try:
        path = file.expanduser()
        if path.is_file():
            return path
        what = f"{file} is a folder, not a file" if path.is_dir() else f"there is no file {file}"
    except (OSError, ValueError, RuntimeError) as error:  # too long, a NUL byte, or an unknown user after ~
        what = f"there is no file {str(file)[:200]!r} ({error})"
    raise NotFoundError(what, fix=FIX)


def form_of(file: Path) -> str:
    """The file extension that determines the format, ignoring `.gz`."""
    return Path(file.name.lower().removesuffix(".gz")).suffix


def is_rows_file(named: str) -> bool:
    """Whether a file name has an extension of a row format."""
    return form_of(Path(named)) in ENDINGS


def file_sha256(file: Path) -> str:
    with file.open("rb") as data:
        return hashlib.file_digest(data, "sha256").hexdigest()


def _rows(file: Path, torn: bool) -> Iterator[LocatedRow]:
    form = form_of(file)
    readers: Mapping[str, Reader] = {
        **dict.fromkeys(JSONL, lambda path: forms.json_lines(path, torn)),
        ".json": forms.json_document,
        ".csv": lambda path: forms.table(path, ","),
        ".tsv": lambda path: forms.table(path, "\t"),
        ".txt": forms.text_lines,
        ".parquet": forms.parquet,
    }
    reader = readers.get(form) or readers.get(_guessed(file))
    if reader is None:
        raise RecipeError(f"cannot read {form!r} files", str(file), FIX)
    return reader(file)


def _guessed(file: Path) -> str:
    """The format of a file with another extension, from its first bytes."""
    with open_bytes(file) as data:
        head = data.read(64).removeprefix(BOM).lstrip()
    return ".parquet" if head.startswith(b"PAR1") else {b"{": ".jsonl", b"[": ".json", b"": ".jsonl"}.get(head[:1], "")
