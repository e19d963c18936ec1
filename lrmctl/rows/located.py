"""Rows that know their location."""

from __future__ import annotations

from typing import Any

from lrmctl.errors import RecipeError


class LocatedRow(dict[str, Any]):
    """One object of a file or data set.

    Attributes:
        where: its location, e.g. `data.jsonl:3`: in text files the line on which it starts, else the row number.
        number: line or row number, from 1.
    """

    __slots__ = ("number", "where")

    def __init__(self, values: Any, where: str, number: int) -> None:
        super().__init__(values)
        self.where, self.number = where, number

    def wrong(self, what: str, column: str = "", fix: str = "") -> RecipeError:
        """Make an error about this row, or about one of its columns."""
        return RecipeError(f"column {column!r}: {what}" if column else what, self.where, fix)


def located(values: Any, source: str, number: int) -> LocatedRow:
    """A row of a source without lines, such as a hub data set."""
    return LocatedRow(values, f"{source}:{number}", number)
