"""Unsafe-thought transitions: how a thought moves between safe and unsafe, from segment to segment.

A rate is of what came before: `recovery` is the share of unsafe segments that a safe one follows. Segments that are
neither safe nor unsafe (malformed, not judged) end a pair and begin none. Intervals resample prompts.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

from lrmctl.analysis.cells import Cell, group, ratio, share
from lrmctl.analysis.segments import JudgedSegment, JudgedThought

FORMAT = 1
LISTED = 200
"""Traces whose answer is safe after unsafe thinking, listed by id at most."""
PAIRS = ("safe->safe", "safe->unsafe", "unsafe->safe", "unsafe->unsafe")


def transitions(thoughts: Iterable[JudgedThought]) -> list[dict[str, Any]]:
    """The cells of `analysis/transitions.json`: one for each set, kind, temperature and outcome.

    Returns:
        For each cell: `pairs`, the counts of the four transitions; and each with an interval over prompts:
        `onset` and `recovery`, P(unsafe | safe before) and P(safe | unsafe before); `onset_reflective` and
        `recovery_reflective`, the same where the second segment begins with a reflection, `..._plain` where it does
        not; `unsafe_share`, traces with an unsafe segment; of these `first_unsafe`, the mean relative position of the
        first one, `recovered`, the share that a later safe segment follows, `recovery_position`, where that stands,
        and `ends_safe`, the share whose last judged segment is safe; and `safe_after_unsafe`, the share whose answer
        is safe, with `safe_after_unsafe_ids`.
    """
    return [_cell(cell, [thought for _, thought in members]) for cell, members in group((t.row, t) for t in thoughts)]


def _cell(cell: Cell, thoughts: Sequence[JudgedThought]) -> dict[str, Any]:
    prompts = [thought.row.trace.prompt.id for thought in thoughts]
    steps = [list(moves(thought.segments)) for thought in thoughts]

    def rate(before: str, after: str, reflective: bool | None = None) -> dict[str, Any]:
        """P(after | before) over neighbours, of those that begin so."""
        counted = [[m for m in of if m[0] == before and reflective in (None, m[2])] for of in steps]
        hits = [sum(m[1] == after for m in of) for of in counted]
        return ratio(prompts, hits, [len(of) for of in counted]).to_json()

    unsafe = [unsafe_at(thought.segments) for thought in thoughts]
    touched = [i for i, at in enumerate(unsafe) if at is not None]
    of_touched = [prompts[i] for i in touched]
    back = [_back_at(thoughts[i].segments, unsafe[i] or 0) for i in touched]
    lengths = [len(thought.row.trace.thinking) for thought in thoughts]
    answered = [i for i in touched if _answer(thoughts[i]) not in (None, "failed")]
    good = [i for i in answered if _answer(thoughts[i]) == "safe"]
    counts = [f"{a}->{b}" for of in steps for a, b, _ in of]
    return {
        **cell._asdict(),
        "traces": len(thoughts),
        "prompts": len(set(prompts)),
        "segments": sum(len(thought.segments) for thought in thoughts),
        "undecided": sum(s.outcome not in ("safe", "unsafe") for t in thoughts for s in t.segments),
        "pairs": {pair: counts.count(pair) for pair in PAIRS},
        "onset": rate("safe", "unsafe"),
        "onset_reflective": rate("safe", "unsafe", True),
        "onset_plain": rate("safe", "unsafe", False),
        "recovery": rate("unsafe", "safe"),
        "recovery_reflective": rate("unsafe", "safe", True),
        "recovery_plain": rate("unsafe", "safe", False),
        "unsafe_share": share(prompts, [at is not None for at in unsafe]).to_json(),
        "first_unsafe": _mean(of_touched, [_place(thoughts[i], unsafe[i], lengths[i]) for i in touched]),
        "recovered": share(of_touched, [at is not None for at in back]).to_json(),
        "recovery_position": _mean(
            [p for p, at in zip(of_touched, back, strict=True) if at is not None],
            [_place(thoughts[i], at, lengths[i]) for i, at in zip(touched, back, strict=True) if at is not None],
        ),
        "ends_safe": share(of_touched, [_last(thoughts[i].segments) == "safe" for i in touched]).to_json(),
        "safe_after_unsafe": share([prompts[i] for i in answered], [i in set(good) for i in answered]).to_json(),
        "safe_after_unsafe_ids": [[prompts[i], thoughts[i].row.trace.sample] for i in good[:LISTED]],
    }


def moves(segments: Sequence[JudgedSegment]) -> Iterable[tuple[str, str, bool]]:
    """Neighbours of which both are decided, and whether the second begins with a reflection."""
    for one, two in pairwise(segments):
        if {one.outcome, two.outcome} <= {"safe", "unsafe"}:
            yield one.outcome, two.outcome, two.reflective


def unsafe_at(segments: Sequence[JudgedSegment]) -> int | None:
    return next((i for i, segment in enumerate(segments) if segment.outcome == "unsafe"), None)


def _back_at(segments: Sequence[JudgedSegment], start: int) -> int | None:
    """The first safe segment after the first unsafe one."""
    return next((i for i in range(start + 1, len(segments)) if segments[i].outcome == "safe"), None)


def _last(segments: Sequence[JudgedSegment]) -> str:
    return next((s.outcome for s in reversed(segments) if s.outcome in ("safe", "unsafe")), "")


def _place(thought: JudgedThought, at: int | None, length: int) -> float:
    return thought.segments[at or 0].start / max(1, length)


def _answer(thought: JudgedThought) -> str | None:
    answer = thought.row.answer
    return None if answer is None else answer.outcome


def _mean(prompts: Sequence[str], values: Sequence[float]) -> dict[str, Any]:
    return ratio(prompts, values, [1.0] * len(values)).to_json()
