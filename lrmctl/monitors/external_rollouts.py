"""Rollouts in a file that was not written by a run: any format, read strictly by `lrmctl.rows`, once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from lrmctl.errors import RecipeError
from lrmctl.rows.files import read_rows
from lrmctl.rows.located import LocatedRow
from lrmctl.rows.prompts import CONVERSATIONS
from lrmctl.rows.responses import RESPONSES
from lrmctl.rows.traces import trace_of
from lrmctl.rows.values import missing, number_of, quoted_value

_TEXTS = ("prompt", "thinking", "answer", "thinking_state", "finish_reason", "kind", "group", "error")


class WholeFile:
    """The rows of a file in the format of `rollouts.jsonl`.

    Attributes:
        unreadable: always none; a row that cannot be read is an error.
    """

    unreadable = 0

    def __init__(self, path: Path) -> None:
        self.path, self._read = path, False

    def rows(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """Line number, from 1, and row; nothing when called again.

        Raises:
            RecipeError: a row that cannot be read, with its line and column; or there are no rows.
        """
        if self._read:
            return
        self._read, found = True, False
        for row in read_rows(self.path, torn=True):
            found = True
            yield row.number, rollout_row(row)
        if not found:
            raise RecipeError("there are no rows", str(self.path), "give rollouts: a prompt, an answer and a reward")


def rollout_row(row: LocatedRow) -> dict[str, Any]:
    """The row with its response split into thinking and answer, and its rewards as numbers.

    Raises:
        RecipeError: it cannot be read; names the column.
    """
    found = dict(row)
    if _other_words(row):
        trace = trace_of(row, "harmful")
        found |= {
            "prompt": trace.prompt.text,
            "thinking": trace.thinking,
            "answer": trace.answer,
            "thinking_state": trace.thinking_state,
            "finish_reason": trace.finish_reason,
        }
    for name in _TEXTS:
        if missing(value := found.get(name)):
            found.pop(name, None)
        elif not isinstance(value, str):
            raise row.wrong(f"is {quoted_value(value)}, not a text", name)
    for name in ("reward", "total"):
        found[name] = number_of(row, name, row)
    for name, part in _components(row):
        number_of(part, "value", row) if isinstance(part, Mapping) else _no_component(row, name, part)
    return found


def _components(row: LocatedRow) -> list[tuple[str, Any]]:
    value = row.get("components")
    if missing(value):
        return []
    if not isinstance(value, Mapping):
        raise row.wrong(f"is {quoted_value(value)}, not an object", "components")
    return [(str(name), part) for name, part in value.items() if not missing(part)]


def _no_component(row: LocatedRow, name: str, part: Any) -> None:
    raise row.wrong(f"the component {name!r} is {quoted_value(part)}, not an object with a value", "components")


def _other_words(row: LocatedRow) -> bool:
    named = any(name in row for name in (*RESPONSES, *CONVERSATIONS, "trace", "question", "reasoning_content"))
    return named or isinstance(row.get("prompt"), (list, Mapping))
