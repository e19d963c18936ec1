"""Reads completions of a file as traces, for judges, rewards and monitors.

    rows of an evaluation   {"trace": {...}, ...}                       runs/*/eval/rows.jsonl
    rollouts                {"prompt", "thinking", "answer", "thinking_state", ...}   runs/*/rollouts.jsonl
    plain rows              a prompt and a response, read by `prompts` and `responses`

A rollout contains only the text of its prompt; the whole prompt is looked up in the file's run folder.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, get_args

from lrmctl.errors import LrmctlError, RecipeError
from lrmctl.rows.files import existing, read_rows
from lrmctl.rows.located import LocatedRow
from lrmctl.rows.messages import same_text
from lrmctl.rows.prompts import asked_of, gold_of, prompt_of
from lrmctl.rows.responses import RESPONSES, ParsedResponse, counts_of, finish_of, irregular_of, response_of
from lrmctl.rows.values import missing, stated_text, text_of
from lrmctl.types import FinishReason, Kind, Prompt, ThinkingState, Trace

SHAPES = 'give {"prompt", "response"}, {"prompt", "thinking", "answer"} or {"messages"} that end with the response'
_PROMPTS = ("data/prompts.jsonl", "data/eval.jsonl")


@dataclass(frozen=True)
class TraceRow:
    """One row and its trace."""

    row: LocatedRow
    trace: Trace


def read_traces(file: Path, *, kind: Kind | None) -> Iterator[TraceRow]:
    """Every row of a file, except calls that the reward service could not parse, which have no prompt.

    Args:
        kind: for rows that do not state one; None if they must.

    Raises:
        NotFoundError: no such file.
        RecipeError: a row is not a trace, with its line and column; or there are no rows.
    """
    path, found = existing(file), 0
    known = prompts_beside(path)
    for row in read_rows(path, torn=True):
        if _unreadable_call(row):
            continue
        found += 1
        yield TraceRow(row, trace_of(row, kind, known))
    if not found:
        raise RecipeError("there are no rows", str(file), SHAPES)


def in_data_order(rows: Iterable[TraceRow]) -> list[TraceRow]:
    """Rollouts by their prompt's place in the training data, then by a hash of their text; other rows as they stand.

    Rollouts are written as their rewards arrive, which is another order in every run with the same seed.
    """
    return sorted(rows, key=_place)


def _place(one: TraceRow) -> tuple[int, int, str, bytes]:
    group = one.row.get("group")
    if not group:
        return 0, 0, "", b""
    attempt, prompt = (value if isinstance(value := one.row.get(name), int) else 0 for name in ("attempt", "row"))
    text = f"{one.trace.thinking}\x1f{one.trace.answer}"
    return attempt, prompt, str(group), sha256(text.encode("utf-8", "surrogatepass")).digest()


def trace_of(row: LocatedRow, kind: Kind | None, known: Mapping[str, Prompt] | None = None) -> Trace:
    """The trace of a row.

    Args:
        known: whole prompts by id, from the rollout's run.

    Raises:
        RecipeError: it is not a trace.
    """
    if isinstance(row.get("trace"), Mapping):
        return _own(row)
    prompt = _known(row, known or {})
    asked = None if prompt else asked_of(row)
    response = response_of(row, asked.response if asked else None)
    if response is None:
        raise row.wrong("there is neither a response nor an answer", fix=SHAPES)
    if asked:
        prompt = _plain_prompt(row, asked, kind)
    assert prompt is not None
    _one_answer(row, response, prompt)
    return Trace(
        prompt,
        response.thinking,
        response.answer,
        response.state,
        finish_of(row),
        irregular=response.irregular or irregular_of(row),
        error=text_of(row, "error") or "" if finish_of(row) == "error" else "",
        skipped=row.get("skipped") is True,
        **counts_of(row),
    )


def _plain_prompt(row: LocatedRow, asked: Any, kind: Kind | None) -> Prompt:
    prompt = prompt_of(row, asked, kind=kind, id=f"line-{row.number}", ids=("prompt_id", "id"))
    spoken = any(not missing(row.get(name)) for name in RESPONSES) or asked.response is not None
    gold, _ = gold_of(row, prompt.kind, answers=spoken)
    source = stated_text(row, "source") if isinstance(row.get("source"), str) else None
    return Prompt(prompt.id, prompt.messages, prompt.kind, source or "", gold, prompt.meta)


def _one_answer(row: LocatedRow, response: ParsedResponse, prompt: Prompt) -> None:
    """Check that an `answer` next to a response is the same text, or the gold answer of a reasoning prompt."""
    beside = row.get("answer") if any(not missing(row.get(name)) for name in RESPONSES) else None
    if missing(beside) or prompt.kind == "reasoning":
        return
    if not isinstance(beside, str) or not same_text(beside, response.answer):
        raise row.wrong("there is a response, and another answer beside it", "answer", "keep one of them")


def _unreadable_call(row: LocatedRow) -> bool:
    return missing(row.get("prompt")) and not missing(row.get("error")) and "components" in row


def _known(row: LocatedRow, known: Mapping[str, Prompt]) -> Prompt | None:
    prompt = known.get(str(row.get("prompt_id", "")))
    return prompt if prompt is not None and prompt.text == row.get("prompt") else None


def _own(row: LocatedRow) -> Trace:
    """A trace written by lrmctl, with its types checked."""
    try:
        trace = Trace.from_json(row["trace"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        what = f"lacks {error}" if isinstance(error, KeyError) else f"cannot be read as a trace: {error}"
        raise row.wrong(what, "trace", SHAPES) from None
    words: list[tuple[str, Any, Any]] = [
        ("kind", trace.prompt.kind, Kind),
        ("thinking_state", trace.thinking_state, ThinkingState),
        ("finish_reason", trace.finish_reason, FinishReason),
    ]
    for name, value, allowed in words:
        if value not in get_args(allowed):
            raise row.wrong(f"{name} is {value!r}, not one of {', '.join(get_args(allowed))}", "trace")
    texts = [trace.thinking, trace.answer, trace.prompt.id, *(m.get("content") for m in trace.prompt.messages)]
    if not trace.prompt.messages or not all(isinstance(text, str) for text in texts):
        raise row.wrong("holds something that is no text where a text has to be", "trace", SHAPES)
    return trace


def prompts_beside(file: Path) -> dict[str, Prompt]:
    """The prompts of the run whose folder contains the file, by id; empty for files elsewhere."""
    files = [folder / name for folder in (file.parent, file.parent.parent) for name in _PROMPTS]
    found: dict[str, Prompt] = {}
    for one in files:
        for row in read_rows(one, torn=True) if one.is_file() else ():
            try:
                label = json.loads(row["label"])
                prompt = Prompt.from_json(label["prompt"])
            except (LrmctlError, ValueError, KeyError, TypeError, AttributeError):
                continue  # a label not written by lrmctl
            found.setdefault(prompt.id, prompt)
    return found
