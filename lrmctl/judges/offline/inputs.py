"""Traces to judge, from any file that `lrmctl.rows.traces` reads. Knows no judge.

A prompt counts as harmful if its row does not say its kind.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lrmctl.rows.traces import read_traces
from lrmctl.types import Kind, Trace

Row = Mapping[str, Any]


@dataclass(frozen=True)
class JudgedItem:
    """One row of a file.

    Attributes:
        line: its line (in Parquet, its row number), from 1.
        row: all of its fields.
    """

    line: int
    trace: Trace
    row: Row


def read_items(file: Path) -> list[JudgedItem]:
    """Every row of the file; a truncated last line, as a killed writer leaves it, is skipped with a warning.

    Raises:
        NotFoundError: no such file.
        RecipeError: a row that cannot be read as a trace, with its line and column; or no rows.
    """
    return [JudgedItem(one.row.number, one.trace, one.row) for one in read_traces(file, kind="harmful")]


def of_kind(item: JudgedItem, kind: Kind) -> JudgedItem:
    """The same item with its prompt's kind changed."""
    return replace(item, trace=replace(item.trace, prompt=replace(item.trace.prompt, kind=kind)))
