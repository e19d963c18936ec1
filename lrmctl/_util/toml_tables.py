"""Reads catalogues shipped as TOML files: one table per entry, each validated against one schema.

Entries are added by hand, so errors name the file, the entry and the field.
"""

from __future__ import annotations

import tomllib
from importlib.resources import files
from typing import Any, TypeVar

import msgspec

from lrmctl.errors import LrmctlError

Entry = TypeVar("Entry", bound=msgspec.Struct)


def read_entries(package: str, file: str, schema: type[Entry]) -> dict[str, Entry]:
    """The entries of a TOML file by name, in file order.

    Args:
        package: the package that contains the file, e.g. `lrmctl.data.catalog`.
        schema: of one entry; a field `name` is filled with the table's name, which the entry does not repeat.

    Raises:
        LrmctlError: the file is not valid TOML, or an entry does not fit the schema.
    """
    where = f"{package.replace('.', '/')}/{file}"
    try:
        table = tomllib.loads(files(package).joinpath(file).read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise LrmctlError(f"this is not TOML: {error}", where) from error
    return {name: _entry(name, row, schema, f"{where}: [{name}]") for name, row in table.items()}


def _entry(name: str, row: Any, schema: type[Entry], where: str) -> Entry:
    fields = [field for field in schema.__struct_fields__ if field != "name"]
    fix = f"the fields of an entry are {', '.join(fields)}; {schema.__name__} describes them"
    if not isinstance(row, dict):
        raise LrmctlError("this is a value, not the table of an entry", where, fix)
    named = {"name": name} if "name" in schema.__struct_fields__ else {}
    try:
        return msgspec.convert({**row, **named}, schema)
    except msgspec.ValidationError as error:
        raise LrmctlError(_told(error), where, fix) from error


def _told(error: msgspec.ValidationError) -> str:
    """msgspec's message with the field first: `rows: expected int, got str`."""
    what, _, place = str(error).replace("`", "").partition(" - at ")
    field = place.removeprefix("$").removeprefix(".")
    return f"{field}: {what[:1].lower()}{what[1:]}" if field else f"{what[:1].lower()}{what[1:]}"
