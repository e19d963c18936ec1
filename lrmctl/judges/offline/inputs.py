"""Traces to be judged, from the files that people have, as `lrmctl.rows.traces` reads them. Knows no judge.

A prompt is harmful where a row does not say its kind.
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
        line: its line (of Parquet, its number), from 1.
        row: all that it holds.
    """

    line: int
    trace: Trace
    row: Row


def read_items(file: Path) -> list[JudgedItem]:
    """Every row of the file; a cut last line, as a killed writer leaves it, is skipped and told of.

    Raises:
        NotFoundError: no such file.
        RecipeError: a row that cannot be read as a trace, by its line and column; or there are none.
    """
    return [JudgedItem(one.row.number, one.trace, one.row) for one in read_traces(file, kind="harmful")]


def of_kind(item: JudgedItem, kind: Kind) -> JudgedItem:
    """The same item, its prompt being of another kind."""
    return replace(item, trace=replace(item.trace, prompt=replace(item.trace.prompt, kind=kind)))
