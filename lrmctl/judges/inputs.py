"""Traces to be judged, from the JSONL files that people have: lrmctl's own, and plain rows. Knows no judge.

    rows of an evaluation   {"trace": {...}, ...}                       runs/*/eval/rows.jsonl
    rollouts                {"prompt", "thinking", "answer", "thinking_state", ...}   runs/*/rollouts.jsonl
    plain rows              {"prompt", "response"}, {"prompt", "thinking", "answer"} or {"messages", "response"}

A prompt is a text or a list of chat messages; `messages` may end with the response itself, and a response may be a
list of messages or be called `completion`. A plain row may also say `id`, `kind` (harmful if it does not), `sample`,
`thinking_state`, `finish_reason` and `meta`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, get_args

from lrmctl.errors import LrmctlError, NotFoundError
from lrmctl.runs.rows import numbered_rows
from lrmctl.trace import trace_from_text
from lrmctl.types import FinishReason, Kind, Prompt, ThinkingState, Trace

Row = Mapping[str, Any]
_SHAPES = 'give {"prompt", "response"}, {"prompt", "thinking", "answer"} or {"messages", "response"}'


@dataclass(frozen=True)
class Item:
    """One line of a file.

    Attributes:
        line: number of the line, from 1.
        row: all that the line holds.
    """

    line: int
    trace: Trace
    row: Row


def read_items(file: Path) -> list[Item]:
    """Every line of the file that is not blank; a torn last line, as a killed writer leaves it, is skipped.

    Raises:
        NotFoundError: no such file.
        LrmctlError: a line that cannot be read as a trace, by its number; or there are none.
    """
    if not file.is_file():
        raise NotFoundError(f"there is no file {file}", fix="give a JSONL file")
    items = [Item(number, _trace(row, number, file), row) for number, row in numbered_rows(file, _SHAPES)]
    if not items:
        raise LrmctlError("there are no rows", str(file), _SHAPES)
    return items


def _trace(row: Row, number: int, file: Path) -> Trace:
    try:
        return Trace.from_json(row["trace"]) if isinstance(row.get("trace"), dict) else _plain(row, number)
    except (LrmctlError, ValueError, TypeError, KeyError) as error:
        what = f"lacks {error}" if isinstance(error, KeyError) else getattr(error, "what", str(error))
        raise LrmctlError(f"cannot be read as a trace: {what}", f"{file}:{number}", _SHAPES) from error


def _plain(row: Row, number: int) -> Trace:
    """The trace of a rollout or of a plain row."""
    messages, response = _asked(row)
    prompt = Prompt(
        id=str(row.get("prompt_id") or row.get("id") or f"line-{number}"),
        messages=messages,
        kind=_word(row, "kind", Kind, "harmful"),
        meta=row.get("meta") or {},
    )
    finish: FinishReason = _word(row, "finish_reason", FinishReason, "stop")
    sample = int(row.get("sample") or 0)
    if response is not None:
        return trace_from_text(prompt, response, opened=False, finish_reason=finish, sample=sample)
    thinking, answer = _text(row, "thinking"), _text(row, "answer")
    state: ThinkingState = _word(row, "thinking_state", ThinkingState, "closed" if thinking else "absent")
    return Trace(prompt, thinking, answer, state, finish, sample=sample)


def _asked(row: Row) -> tuple[tuple[dict[str, str], ...], str | None]:
    """Chat messages up to the user's last one, and the response if it is one text."""
    given = row.get("messages", row.get("prompt"))
    messages = [{"role": "user", "content": given}] if isinstance(given, str) else _messages(given)
    response = row.get("response", row.get("completion"))
    if response is None and "answer" not in row and messages and messages[-1]["role"] == "assistant":
        response = messages.pop()["content"]
    if response is not None and not isinstance(response, str):
        response = "\n\n".join(message["content"] for message in _messages(response))
    if response is None and "answer" not in row:
        raise ValueError("there is neither a response nor an answer")
    return tuple(messages), response


def _messages(given: Any) -> list[dict[str, str]]:
    if not isinstance(given, list) or not given:
        raise ValueError("a prompt is a text or a list of messages")
    for message in given:
        if not isinstance(message, dict) or not all(isinstance(message.get(k), str) for k in ("role", "content")):
            raise ValueError("a message has a role and a content")
    return [{"role": message["role"], "content": message["content"]} for message in given]


def _text(row: Row, key: str) -> str:
    value = row.get(key) or ""
    if not isinstance(value, str):
        raise ValueError(f"{key} is a {type(value).__name__}, not a text")
    return value


def _word(row: Row, key: str, words: Any, default: str) -> Any:
    value = row.get(key) or default
    if value not in get_args(words):
        raise ValueError(f"{key} is {value!r}, not one of {', '.join(get_args(words))}")
    return value


def of_kind(item: Item, kind: Kind) -> Item:
    """The same item, its prompt being of another kind."""
    return replace(item, trace=replace(item.trace, prompt=replace(item.trace.prompt, kind=kind)))
