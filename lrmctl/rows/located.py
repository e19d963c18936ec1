"""A row that knows where it was read."""

from __future__ import annotations

from typing import Any

from lrmctl.errors import RecipeError


class LocatedRow(dict[str, Any]):
    """One object of a file or data set.

    Attributes:
        where: its place, e.g. `data.jsonl:3`; in text files the line on which it starts, else its number from 1.
        number: the line, or the number of the row, from 1.
    """

    __slots__ = ("number", "where")

    def __init__(self, values: Any, where: str, number: int) -> None:
        super().__init__(values)
        self.where, self.number = where, number

    def wrong(self, what: str, column: str = "", fix: str = "") -> RecipeError:
        """The error that something is wrong with this row, or with one column of it."""
        return RecipeError(f"column {column!r}: {what}" if column else what, self.where, fix)


def located(values: Any, source: str, number: int) -> LocatedRow:
    """A row of a source that has no lines, such as a data set of the hub."""
    return LocatedRow(values, f"{source}:{number}", number)
