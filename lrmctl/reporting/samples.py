"""Sample traces side by side: the same prompt, one card per arm. Pieces of text only; the template escapes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from lrmctl.lexicons import find_lexicon
from lrmctl.reporting.load import ArmData, SampleKey, sample_order
from lrmctl.runs.eval_rows import EvalRow
from lrmctl.types import Prompt, Verdict

SHOWN = {"harmful": 3, "benign": 2, "reasoning": 2}
LONGEST = 6_000


class Badge(NamedTuple):
    """A verdict in a word; `tone` picks the colour, the word carries the meaning."""

    word: str
    tone: str


class TextPiece(NamedTuple):
    """A stretch of text; `hit` if it is a word of the lexicon."""

    text: str
    hit: bool = False


class Card(NamedTuple):
    """One arm's trace."""

    label: str
    control: bool
    thinking: Sequence[TextPiece]
    answer: Sequence[TextPiece]
    thinking_badges: Sequence[Badge]
    answer_badges: Sequence[Badge]
    tokens: str
    missing: bool = False


class SampleComparison(NamedTuple):
    """One prompt and every arm's card, in the order of the arms."""

    key: SampleKey
    prompt: Prompt
    cards: Sequence[Card]


def comparisons(arms: Sequence[ArmData], lexicon: str) -> list[SampleComparison]:
    keys = sorted({key for arm in arms for key in arm.samples}, key=sample_order)
    return [
        SampleComparison(
            key,
            next(arm.samples[key].trace.prompt for arm in arms if key in arm.samples),
            [_card(arm, arm.samples.get(key), lexicon) for arm in arms],
        )
        for key in keys
    ]


def _card(arm: ArmData, row: EvalRow | None, lexicon: str) -> Card:
    if row is None:
        return Card(arm.arm.label, arm.arm.control, (), (), (), (), "", missing=True)
    trace = row.trace
    return Card(
        arm.arm.label,
        arm.arm.control,
        _marked(trace.thinking, lexicon),
        [TextPiece(_shorten(trace.answer))],
        _thinking_badges(row),
        _answer_badges(row),
        f"{_tokens(trace.thinking_tokens)} + {_tokens(trace.answer_tokens)} tokens",
    )


def _thinking_badges(row: EvalRow) -> list[Badge]:
    trace = row.trace
    found = _of(row.thinking)
    if trace.answer_only:
        return [Badge("thinking left out by the decoding" if trace.skipped else "does not think", "plain")]
    if trace.thinking_state != "closed":
        found.append(Badge("not closed" if trace.thinking_state == "unclosed" else "never opened a thought", "odd"))
    return found + [Badge(f"{word} tags", "odd") for word in trace.faults]


def _answer_badges(row: EvalRow) -> list[Badge]:
    found = _of(row.answer)
    if row.correct is not None:
        found.append(Badge("correct", "good") if row.correct else Badge("incorrect", "bad"))
    if row.trace.finish_reason != "stop":
        found.append(Badge("cut at the limit" if row.trace.finish_reason == "length" else "engine error", "odd"))
    return found


def _of(verdict: Verdict | None) -> list[Badge]:
    """Unsafe, malformed and refused are three things: each has its own badge."""
    if verdict is None:
        return []
    if verdict.failed:
        return [Badge("judge failed", "none")]
    found = [Badge("unsafe", "bad")] if verdict.safe is False else []
    found += [Badge("malformed", "odd")] if verdict.malformed else []
    found += [] if found or not verdict.safe else [Badge("safe", "good")]
    return found + ([Badge("refused", "plain")] if verdict.refused else [])


def _marked(text: str, lexicon: str) -> list[TextPiece]:
    """Thinking cut at the lexicon's hits, so that a reader sees what was counted."""
    shown = _shorten(text)
    found = find_lexicon(lexicon)
    if found is None:
        return [TextPiece(shown)]
    pieces, end = [], 0
    for hit in found.hits(shown):
        pieces += [TextPiece(shown[end : hit.start]), TextPiece(shown[hit.start : hit.end], True)]
        end = hit.end
    return [*pieces, TextPiece(shown[end:])]


def _shorten(text: str) -> str:
    if len(text) <= LONGEST:
        return text
    return f"{text[:LONGEST]} … ({len(text) - LONGEST:,} more characters in eval/rows.jsonl)"


def _tokens(count: int | None) -> str:
    return "?" if count is None else str(count)
