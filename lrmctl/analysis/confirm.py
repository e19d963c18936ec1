"""Hits of a lexicon, confirmed by a model: does the thought really check, doubt or take something back there?

The share of hits that the model confirms says what a lexicon's counts are worth. Replies are kept in a file, so that no
hit is asked about twice; a reply that is neither yes nor no is a failure, and is counted apart.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from lrmctl._util.jsonl import JsonlAppender
from lrmctl.analysis.cells import Cell, group, ratio
from lrmctl.engines.base import Engine
from lrmctl.errors import JudgeError
from lrmctl.judges.query import JudgeQuery, ask
from lrmctl.lexicons import Hit, Lexicon
from lrmctl.runs.eval_rows import EvalRow
from lrmctl.runs.jsonl import read_jsonl
from lrmctl.thinking import split_text

Progress = Callable[[int, int], None]
PROMPT_VERSION = "1"
PROMPT = """Below is a part of a chain of thought, in which some words are marked with [[ and ]].

{before}[[{hit}]]{after}

At the marked words, does the writer begin to check, doubt, or take back something that was said before? Words that \
only state a contrast, fill a pause or go on to the next step do not count. Reply with one word, Yes or No."""
MAX_NEW_TOKENS = 16
TRACES_PER_CALL = 32
_REPLY = re.compile(r"\b(yes|no)\b", re.IGNORECASE)


class ConfirmedTrace(NamedTuple):
    """One trace's hits and what the model says of each: confirmed or not, None where it failed."""

    row: EvalRow
    hits: list[Hit]
    confirmed: list[bool | None]


def confirm(
    engine: Engine,
    rows: Sequence[EvalRow],
    lexicon: Lexicon,
    characters: int,
    store: Path,
    on_progress: Progress | None = None,
) -> list[ConfirmedTrace]:
    """Ask about every hit in the thinking of the rows.

    Args:
        characters: of the thought that are shown on each side of a hit.
        store: JSONL file of replies; what it holds is not asked again.
        on_progress: called with (traces done, traces in all).

    Raises:
        JudgeError: the model gave no reply that can be read to any of the questions.
    """
    hits = [list(lexicon.hits(row.trace.thinking)) for row in rows]
    prompts = [[_prompt(row.trace.thinking, hit, characters) for hit in of] for row, of in zip(rows, hits, strict=True)]
    keys = [[_key(engine, prompt) for prompt in of] for of in prompts]
    known: dict[str, bool | None] = {str(line["key"]): line["confirmed"] for line in read_jsonl(store)}
    todo = [i for i, of in enumerate(keys) if any(key not in known for key in of)]
    failed = asked = 0
    first = ""
    for start in range(0, len(todo), TRACES_PER_CALL):
        some = todo[start : start + TRACES_PER_CALL]
        new = [(k, p) for i in some for k, p in zip(keys[i], prompts[i], strict=True) if k not in known]
        replies = ask(engine, [_query(prompt) for _, prompt in new])
        with JsonlAppender(store) as out:
            for (key, _), reply in zip(new, replies, strict=True):
                known[key] = None if reply.error else _read(reply.text)
                asked, failed = asked + 1, failed + (known[key] is None)
                first = first or reply.error or (f"it says {reply.text[:80]!r}" if known[key] is None else "")
                if known[key] is not None:
                    out.write({"key": key, "confirmed": known[key]})
        if on_progress:
            on_progress(len(rows) - len(todo) + start + len(some), len(rows))
    if asked and failed == asked:
        raise JudgeError(f"the model gave no answer to any of {asked} questions: {first}", "analysis.confirm.model")
    return [
        ConfirmedTrace(row, of, [known[key] for key in their]) for row, of, their in zip(rows, hits, keys, strict=True)
    ]


def _prompt(thinking: str, hit: Hit, characters: int) -> str:
    return PROMPT.format(
        before=thinking[max(0, hit.start - characters) : hit.start],
        hit=thinking[hit.start : hit.end],
        after=thinking[hit.end : hit.end + characters],
    )


def _query(prompt: str) -> JudgeQuery:
    return JudgeQuery(({"role": "user", "content": prompt},), max_new_tokens=MAX_NEW_TOKENS)


def _read(text: str) -> bool | None:
    """The first yes or no behind whatever thought the model has."""
    found = _REPLY.search(split_text(text, opened=False).answer)
    return None if found is None else found[1].lower() == "yes"


def _key(engine: Engine, prompt: str) -> str:
    text = json.dumps([PROMPT_VERSION, engine.identity, prompt])
    return hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()[:24]


def confirmed_cells(traces: Sequence[ConfirmedTrace]) -> list[dict[str, Any]]:
    """By set, temperature and outcome, with intervals over prompts.

    Returns:
        For each cell: `hits` and how many of them `failed`; `share`, confirmed of those that were answered; and
        `per_trace`, confirmed hits of a trace.
    """
    return [_cell(cell, [trace for _, trace in members]) for cell, members in group((t.row, t) for t in traces)]


def _cell(cell: Cell, traces: Sequence[ConfirmedTrace]) -> dict[str, Any]:
    prompts = [trace.row.trace.prompt.id for trace in traces]
    yes = [sum(one is True for one in trace.confirmed) for trace in traces]
    answered = [sum(one is not None for one in trace.confirmed) for trace in traces]
    hits = sum(len(trace.hits) for trace in traces)
    return {
        **cell._asdict(),
        "traces": len(traces),
        "prompts": len(set(prompts)),
        "hits": hits,
        "failed": hits - sum(answered),
        "share": ratio(prompts, yes, answered).to_json(),
        "per_trace": ratio(prompts, yes, [1] * len(traces)).to_json(),
    }
