"""Writes a few short rows of each data source to a local file; synthetic rows if the source is unavailable."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any, Literal

from lrmctl.data.pairs.pair import PreferencePair
from lrmctl.data.sources import Demonstration
from lrmctl.errors import LrmctlError
from lrmctl.hooks import registry
from lrmctl.recipe.schema.sections import Use
from lrmctl.rows.prompts import KINDS
from lrmctl.types import Prompt

_LONGEST = {"prompt": 200, "thinking": 240, "answer": 160}  # characters
RowKind = Literal["prompts", "demonstrations", "pairs"]
"""What is taken from a source: the name of its method."""
_OWN = (
    "id",
    "kind",
    "prompt",
    "question",
    "messages",
    "reference",
    "thinking",
    "answer",
    "response",
    "chosen",
    "rejected",
    "prefix",
)


def small_source(
    use: Use, file: Path, n: int, *, what: RowKind = "prompts", off: bool = False
) -> tuple[dict[str, Any], str]:
    """Write about `n` rows of a source to `file`.

    Args:
        off: thinking is off, so responses have no thinking.

    Returns:
        The source that reads the file, without a weight, and a sentence on the rows' origin.
    """
    try:
        source = registry.make("source", use.use, **use.options)
        if off and hasattr(source, "without_thinking"):
            source.without_thinking = True
        found = getattr(source, what)()
        rows = [_row(one) for one in _of_all_kinds(found, n)]
        told = f"data: {use.use} -> {len(rows)} of its {len(found)} rows, long texts cut"
    except LrmctlError as error:
        rows = [_made_up(use.use, i, what, off=off) for i in range(n)]
        told = f"data: {use.use} -> {n} synthetic rows; {_first_line(error)}"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return {"use": "jsonl", "options": {"path": str(file)}}, told


def _of_all_kinds(rows: Sequence[Any], n: int) -> list[Any]:
    """The first n rows, alternating between prompt kinds."""
    prompts = [row if isinstance(row, Prompt) else row.prompt for row in rows]
    groups = [[row for row, p in zip(rows, prompts, strict=True) if p.kind == kind] for kind in KINDS]
    turns = [row for turn in zip_longest(*groups) for row in turn if row is not None]
    return turns[:n]


def _row(one: Prompt | Demonstration | PreferencePair) -> dict[str, Any]:
    prompt = one if isinstance(one, Prompt) else one.prompt
    row: dict[str, Any] = {key: value for key, value in prompt.meta.items() if key not in _OWN}
    row |= {"id": prompt.id, "kind": prompt.kind, "messages": _messages(prompt), "reference": prompt.reference}
    if isinstance(one, Demonstration):
        row |= _side(one.thinking, one.answer)
    if isinstance(one, PreferencePair):
        prefix = one.prefix if len(one.prefix) < _LONGEST["thinking"] // 2 else ""
        row |= {"chosen": _side(*one.chosen), "rejected": _side(*one.rejected), "prefix": prefix}
    return row


def _side(thinking: str, answer: str) -> dict[str, str]:
    return {"thinking": _cut(thinking, "thinking"), "answer": _cut(answer, "answer")}


def _messages(prompt: Prompt) -> list[dict[str, str]]:
    """Truncate a single message; keep a conversation whole, because its past responses contain think tags."""
    messages = [dict(message) for message in prompt.messages]
    if len(messages) == 1:
        messages[0]["content"] = _cut(messages[0]["content"], "prompt")
    return messages


def _cut(text: str, what: str) -> str:
    return text[: _LONGEST[what]]


def _made_up(name: str, i: int, what: RowKind, *, off: bool) -> dict[str, Any]:
    """An abstract row of one of the kinds."""
    thinking = "" if off else f"This is request {i}. I think about it."
    said = {"thinking": thinking, "answer": f"This is the answer \\boxed{{{i}}}."}
    kind = KINDS[i % len(KINDS)]
    return {
        "id": f"synthetic/{name}/{i}",
        "kind": kind,
        "messages": [{"role": "user", "content": f"A {kind} request, number {i}, in place of a row of {name}."}],
        "reference": str(i) if kind == "reasoning" else None,
        **({"chosen": said, "rejected": {**said, "answer": "Another answer."}} if what == "pairs" else said),
    }


def _first_line(error: LrmctlError) -> str:
    return str(error.what).splitlines()[0][:200]
