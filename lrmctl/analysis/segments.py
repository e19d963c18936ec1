"""Thoughts cut into segments, each judged by itself, and kept in a file so that no segment is judged twice.

`analysis/segments.jsonl` has one line per trace: where its segments lie, what the judge says of each, and a key of all
that this depends on. A second run takes over what it finds there; traces with a failed verdict are judged again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

from lrmctl._util.jsonl import JsonlAppender
from lrmctl.errors import JudgeError
from lrmctl.hooks.specs import Judge
from lrmctl.judges.base import judge_name, judge_part
from lrmctl.judges.scopes import segments_of
from lrmctl.lexicons import Lexicon
from lrmctl.rows.prompts import key_of
from lrmctl.runs.eval_rows import EvalRow
from lrmctl.runs.jsonl import read_jsonl
from lrmctl.types import Outcome, Trace, Verdict

Cut = Literal["paragraph", "reflection"]
"""A thought is cut at blank lines (long paragraphs between sentences), or before each word of a lexicon."""
TRACES_PER_CALL = 32
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class JudgedSegment:
    """One segment of a thought.

    Attributes:
        start, end: characters of the thought.
        reflective: it begins with a word of the lexicon.
        outcome: what the judge says of it; `malformed` and `failed` are neither safe nor unsafe.
    """

    start: int
    end: int
    reflective: bool
    outcome: Outcome


@dataclass(frozen=True)
class JudgedThought:
    """The segments of one trace's thought, in order."""

    row: EvalRow
    segments: tuple[JudgedSegment, ...]


def cut(thinking: str, by: Cut, lexicon: Lexicon) -> list[tuple[int, int, bool]]:
    """Start, end and whether it begins with a reflection, of each segment; blank space between them is left out."""
    hits = [hit.start for hit in lexicon.hits(thinking)]
    if by == "paragraph":
        spans = list(_paragraphs(thinking))
    else:
        bounds = [0, *hits, len(thinking)]
        spans = [_stripped(thinking, a, b) for a, b in pairwise(bounds)]
    reflections = set(hits)
    return [(a, b, a in reflections) for a, b in spans if a < b]


def judge_thoughts(
    judge: Judge,
    rows: Sequence[EvalRow],
    by: Cut,
    lexicon: Lexicon,
    store: Path,
    *,
    options: Mapping[str, Any],
    on_progress: Progress | None = None,
) -> list[JudgedThought]:
    """The thoughts of rows that have one, judged segment by segment.

    Args:
        store: the JSONL file that verdicts are written to as they come, and taken from where they are known.
        options: of the judge; part of what a verdict depends on.
        on_progress: called with (thoughts done, thoughts in all).

    Raises:
        JudgeError: it failed on every segment that it was asked about at once.
    """
    thinking = [row for row in rows if row.trace.thinking.strip()]
    cuts = [cut(row.trace.thinking, by, lexicon) for row in thinking]
    keys = [_key(row, judge, options, by, lexicon, spans) for row, spans in zip(thinking, cuts, strict=True)]
    known = {str(line["key"]): line["outcomes"] for line in read_jsonl(store) if "failed" not in line["outcomes"]}
    todo = [i for i, key in enumerate(keys) if key not in known]
    done = len(thinking) - len(todo)
    if on_progress:
        on_progress(done, len(thinking))
    with _Appender(store, bool(todo)) as out:
        for start in range(0, len(todo), TRACES_PER_CALL):
            some = todo[start : start + TRACES_PER_CALL]
            verdicts = _verdicts(judge, [(thinking[i].trace, cuts[i]) for i in some])
            _refuse_all_failed(judge, verdicts)
            for i, of_one in zip(some, verdicts, strict=True):
                outcomes = [verdict.outcome for verdict in of_one]
                known[keys[i]] = outcomes
                out.write(_line(thinking[i], judge, by, keys[i], cuts[i], outcomes))
            if on_progress:
                on_progress(done + start + len(some), len(thinking))
    return [
        JudgedThought(row, tuple(JudgedSegment(*span, word) for span, word in zip(spans, known[key], strict=True)))
        for row, spans, key in zip(thinking, cuts, keys, strict=True)
    ]


def _verdicts(judge: Judge, cuts: Sequence[tuple[Trace, Sequence[tuple[int, int, bool]]]]) -> list[list[Verdict]]:
    pieces = [
        replace(trace, thinking=trace.thinking[a:b], thinking_state="closed", irregular=(), thinking_tokens=None)
        for trace, spans in cuts
        for a, b, _ in spans
    ]
    verdicts = iter(judge_part(judge, pieces, "thinking"))
    return [[next(verdicts) for _ in spans] for _, spans in cuts]


def _refuse_all_failed(judge: Judge, verdicts: Sequence[Sequence[Verdict]]) -> None:
    every = [verdict for of_one in verdicts for verdict in of_one]
    if every and all(verdict.failed for verdict in every):
        what = f"the judge {judge_name(judge)!r} failed on all of {len(every)} segments: {every[0].error}"
        raise JudgeError(what, "analysis.transitions.judge", "`lrmctl judge list` says what each judge can read")


def _paragraphs(thinking: str) -> Iterator[tuple[int, int]]:
    """Where the paragraphs stand; joined ones (of very long thoughts) are in one piece in the text too, save for the
    blank space between them."""
    at = 0
    for text in segments_of(thinking):
        first, last = text.split(None, 1)[0], text.rsplit(None, 1)[-1]
        start = thinking.index(first, at)
        end = start
        for word in text.split():
            end = thinking.index(word, end) + len(word)
        assert thinking[:end].endswith(last)
        yield start, end
        at = end


def _stripped(text: str, start: int, end: int) -> tuple[int, int]:
    piece = text[start:end]
    start += len(piece) - len(piece.lstrip())
    return start, start + len(piece.strip())


def _key(
    row: EvalRow, judge: Judge, options: Mapping[str, Any], by: Cut, lexicon: Lexicon, spans: Sequence[Any]
) -> str:
    cut_by = [by, lexicon.name, lexicon.version] if by == "reflection" else [by]
    of = [key_of(row.trace.prompt), row.trace.thinking, judge_name(judge), judge.version, dict(options), cut_by]
    text = json.dumps([*of, [list(span[:2]) for span in spans]], sort_keys=True, default=str)
    return hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()[:24]


def _line(
    row: EvalRow,
    judge: Judge,
    by: Cut,
    key: str,
    spans: Sequence[tuple[int, int, bool]],
    outcomes: Sequence[Outcome],
) -> dict[str, Any]:
    return {
        "key": key,
        "set": row.set,
        "prompt": row.trace.prompt.id,
        "sample": row.trace.sample,
        "temperature": row.temperature,
        "judge": judge_name(judge),
        "judge_version": judge.version,
        "by": by,
        "spans": [[a, b] for a, b, _ in spans],
        "reflective": [reflective for _, _, reflective in spans],
        "outcomes": list(outcomes),
    }


class _Appender:
    """Opens the file only where there is something to write."""

    def __init__(self, path: Path, needed: bool) -> None:
        self._file = JsonlAppender(path) if needed else None

    def __enter__(self) -> _Appender:
        return self

    def write(self, row: Mapping[str, Any]) -> None:
        assert self._file is not None
        self._file.write(row)

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()
