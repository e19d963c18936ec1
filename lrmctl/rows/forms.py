"""One reader per file format; every row has its location."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from lrmctl.errors import RecipeError
from lrmctl.rows.content import lines_of, whole_text
from lrmctl.rows.located import LocatedRow
from lrmctl.rows.strict_json import NotStrict, elements, parsed

_ONE_ROW = ("messages", "conversations", "conversation", "prompt", "trace", "question", "instruction")
_OBJECTS = 'each row is one object: {"prompt": ..., ...}'


def json_lines(file: Path, torn: bool = False) -> Iterator[LocatedRow]:
    """One object per line; blank lines are skipped."""
    for number, line, ended in lines_of(file):
        if not line.strip(" \t\r\n"):
            continue
        where = f"{file}:{number}"
        try:
            value = parsed(line)
        except NotStrict as error:
            if ended or not str(error).startswith("is not JSON"):
                raise RecipeError(str(error), where, _json_fix(str(error), line, number)) from None
            if torn:
                _say_torn(where)
                return
            raise RecipeError(
                f"the last line is cut off, or {error}", where, "write the line whole, or remove it"
            ) from None
        yield _row(value, where, number)


def _say_torn(where: str) -> None:
    from lrmctl import console

    console.say(f"{where}: the last line is cut off and left out")


def _json_fix(what: str, line: str, number: int) -> str:
    if "half of a character" in what:
        return "write the whole character; half of it is what remains where a text was cut inside an emoji"
    if "is there twice" in what:
        return "keep one of the two"
    if number == 1 and line.lstrip().startswith("["):
        return "one object a line; a file that holds one list is named .json"
    return "one object a line, in strict JSON"


def _row(value: Any, where: str, number: int) -> LocatedRow:
    if not isinstance(value, dict):
        fix = "name a file that holds one list .json" if isinstance(value, list) else _OBJECTS
        raise RecipeError(f"is a {_kind(value)}, not an object", where, fix)
    return LocatedRow(value, where, number)


def _kind(value: Any) -> str:
    names = {list: "list", str: "text", bool: "boolean", type(None): "null", dict: "object"}
    return names.get(type(value), "number")


def json_document(file: Path) -> Iterator[LocatedRow]:
    """A list of objects; an object with exactly one list of objects; or JSON lines in a misnamed file."""
    text = whole_text(file)
    if not text.strip():
        return
    if text.lstrip(" \t\r\n").startswith("["):
        yield from _list(text, file)
        return
    try:
        value = parsed(text)
    except NotStrict as error:
        if "Extra data" in str(error):  # JSON lines, which some tools name .json
            yield from json_lines(file)
            return
        line = text.count("\n", 0, error.at) + 1
        raise RecipeError(error.what, f"{file}:{line}", "give one list of objects, in strict JSON") from None
    rows = _data(value, file)
    for number, one in enumerate(rows, 1):
        yield _row(one, f"{file}:{number}", number)


def _list(text: str, file: Path) -> Iterator[LocatedRow]:
    """A row's location is the line on which it starts."""
    line, counted = 1, 0
    try:
        for at, value in elements(text):
            line, counted = line + text.count("\n", counted, at), at
            yield _row(value, f"{file}:{line}", line)
    except NotStrict as error:
        line = text.count("\n", 0, error.at) + 1
        raise RecipeError(error.what, f"{file}:{line}", "give one list of objects, in strict JSON") from None


def _data(value: Any, file: Path) -> Sequence[Any]:
    if not isinstance(value, dict):
        raise RecipeError(f"is a {_kind(value)}, not a list of objects", str(file), "give one list of objects")
    if any(key in value for key in _ONE_ROW):
        return [value]
    lists = {key: v for key, v in value.items() if isinstance(v, list) and any(isinstance(one, dict) for one in v)}
    if len(lists) != 1:
        said = f"it has {len(lists)}: {', '.join(lists)}" if lists else "it has none"
        fix = "give one list of objects, or one object with one such list"
        raise RecipeError(f"nothing says where the rows are: {said}", str(file), fix)
    return next(iter(lists.values()))


def table(file: Path, delimiter: str) -> Iterator[LocatedRow]:
    """CSV (RFC 4180) or TSV with a header line; an empty cell is an empty text."""
    csv.field_size_limit(min(sys.maxsize, 2**62))
    lines = _Lines(file)
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    columns: list[str] = []
    while True:
        start = lines.number + 1
        try:
            cells = next(reader, None)
        except csv.Error as error:
            raise RecipeError(f"is not CSV: {_csv_fault(error)}", f"{file}:{start}", _CSV_FIX) from None
        if cells is None:
            return
        if not cells:
            continue
        if not columns:
            columns = _columns(cells, f"{file}:{start}")
            continue
        if len(cells) != len(columns):
            what = f"has {len(cells)} cells, and there are {len(columns)} columns"
            raise RecipeError(what, f"{file}:{start}", _CSV_FIX)
        values = {name: cell for name, cell in zip(columns, cells, strict=True) if name}
        yield LocatedRow(values, f"{file}:{start}", start)


_CSV_FIX = 'quote a cell that holds the separator, a quote or a line end: "a ""word"", and more"'


def _csv_fault(error: csv.Error) -> str:
    if "unexpected end of data" in str(error):
        return "a quote is opened here and never closed"
    return str(error)


def _columns(cells: Sequence[str], where: str) -> list[str]:
    names = [cell.strip() for cell in cells]
    if twice := [name for name in names if name and names.count(name) > 1]:
        raise RecipeError(f"the column {twice[0]!r} is there twice", where, "give each column a name of its own")
    if not any(names):
        raise RecipeError("the first line names no columns", where, "name the columns in the first line: prompt,kind")
    return names


class _Lines:
    """Lines with line ends for the csv reader; `number` is that of the last line read."""

    def __init__(self, file: Path) -> None:
        self._lines, self.number = lines_of(file), 0

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        self.number, line, _ = next(self._lines)
        return f"{line}\n"


def text_lines(file: Path) -> Iterator[LocatedRow]:
    """One prompt per line; blank lines are skipped."""
    for number, line, _ in lines_of(file):
        if line.strip():
            yield LocatedRow({"prompt": line.strip()}, f"{file}:{number}", number)


def parquet(file: Path) -> Iterator[LocatedRow]:
    """The rows of a Parquet file, one batch in memory at a time."""
    import io

    import pyarrow as pa
    import pyarrow.parquet as pq

    from lrmctl.rows.content import open_bytes

    packed = file.name.lower().endswith(".gz")
    try:
        if packed:
            with open_bytes(file) as data:
                table = pq.ParquetFile(io.BytesIO(data.read()))
        else:
            table = pq.ParquetFile(file)
        number = 0
        for batch in table.iter_batches(batch_size=1000):
            for values in batch.to_pylist():
                number += 1
                yield LocatedRow(values, f"{file}:{number}", number)
    except (pa.ArrowException, UnicodeDecodeError) as error:
        what = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise RecipeError(f"is not Parquet that can be read: {what}", str(file), "write it again") from error
