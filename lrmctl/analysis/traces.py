"""The figures of each trace by itself, as comparisons pair them: the rows of `analysis/traces.parquet`.

Rates are there as what they are made of, so that a comparison can add them up: hits and tokens, unsafe segments that
follow safe ones and safe ones that are followed by any.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lrmctl.analysis.cells import outcome_of
from lrmctl.analysis.early import EarlyAnswers
from lrmctl.analysis.entropy import Threshold
from lrmctl.analysis.positions import profile
from lrmctl.analysis.segments import JudgedThought
from lrmctl.analysis.tokens import TraceTokens, name_of
from lrmctl.analysis.transitions import moves, unsafe_at
from lrmctl.lexicons import Lexicon
from lrmctl.runs.eval_rows import EvalRow
from lrmctl.runs.trace_table import KEYS

_Name = tuple[str, str, float, str, int]


def trace_rows(
    rows: Sequence[EvalRow],
    lexicons: Sequence[Lexicon],
    thoughts: Sequence[JudgedThought],
    tokens: Sequence[TraceTokens],
    thresholds: Mapping[Threshold, float],
    early: Sequence[EarlyAnswers],
) -> Iterator[dict[str, Any]]:
    """One mapping per evaluated row; without the figures that were not measured of it.

    Returns:
        `KEYS`; `thinking_tokens`; of the evaluation `thinking_unsafe` of `thinking_judged`, `answer_unsafe` of
        `answer_judged`, `refused` of `refusal_judged`, `correct` of `graded`; per lexicon `hits:NAME` and
        `depth:NAME`; of judged segments `unsafe_segments` of `segments`, `onsets` of `after_safe`, `recoveries` of
        `after_unsafe`, and `first_unsafe`; of the entropy pass `entropy`, `above` and `kl` of `tokens` (sums over
        tokens); of early answers `settled`.
    """
    judged = {name_of(thought.row): thought for thought in thoughts}
    read = {trace.name: trace for trace in tokens}
    answered = {name_of(one.row): one for one in early}
    for row in rows:
        name = name_of(row)
        found: dict[str, Any] = dict(zip(KEYS, (*name, outcome_of(row)), strict=True))
        found |= _evaluated(row)
        for lexicon in lexicons:
            found |= _reflection(row, lexicon)
        if (thought := judged.get(name)) is not None:
            found |= _transitions(thought)
        if (of_tokens := read.get(name)) is not None:
            found |= _entropy(of_tokens, thresholds.get(name[:3]))
        if (one := answered.get(name)) is not None:
            found["settled"] = one.settled
        yield found


def _evaluated(row: EvalRow) -> dict[str, Any]:
    found: dict[str, Any] = {"thinking_tokens": row.trace.thinking_tokens}
    for name, verdict in (("thinking", row.thinking), ("answer", row.answer)):
        if verdict is not None and not verdict.failed:
            found |= {f"{name}_judged": 1, f"{name}_unsafe": int(verdict.outcome == "unsafe")}
    if row.refused is not None:
        found |= {"refusal_judged": 1, "refused": int(row.refused)}
    if row.correct is not None:
        found |= {"graded": 1, "correct": int(row.correct)}
    return found


def _reflection(row: EvalRow, lexicon: Lexicon) -> dict[str, Any]:
    found = profile(row.trace.thinking, list(lexicon.hits(row.trace.thinking)))
    return {f"hits:{lexicon.name}": found.hits, f"depth:{lexicon.name}": found.depth}


def _transitions(thought: JudgedThought) -> dict[str, Any]:
    pairs = [(before, after) for before, after, _ in moves(thought.segments)]
    first = unsafe_at(thought.segments)
    length = max(1, len(thought.row.trace.thinking))
    return {
        "segments": sum(segment.outcome in ("safe", "unsafe") for segment in thought.segments),
        "unsafe_segments": sum(segment.outcome == "unsafe" for segment in thought.segments),
        "after_safe": sum(before == "safe" for before, _ in pairs),
        "onsets": pairs.count(("safe", "unsafe")),
        "after_unsafe": sum(before == "unsafe" for before, _ in pairs),
        "recoveries": pairs.count(("unsafe", "safe")),
        "first_unsafe": None if first is None else thought.segments[first].start / length,
    }


def _entropy(tokens: TraceTokens, threshold: float | None) -> dict[str, Any]:
    return {
        "tokens": len(tokens.ids),
        "entropy": float(tokens.entropy.sum(dtype=float)),
        "above": None if threshold is None else int((tokens.entropy > threshold).sum()),
        "kl": None if tokens.kl is None else float(tokens.kl.sum(dtype=float)),
    }
