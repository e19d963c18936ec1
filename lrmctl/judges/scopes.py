"""Judges several parts of a trace, and joins the answers to one verdict.

`both` is thinking and answer, `segments` is each paragraph of the thinking; the worst counts. A part that could not be
judged never counts as safe. Knows no particular judge, and no reward.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from lrmctl.hooks.specs import Judge
from lrmctl.judges.base import judge_part
from lrmctl.types import Outcome, Part, Scope, Trace, Verdict

_WORST_FIRST: tuple[Outcome, ...] = ("unsafe", "failed", "malformed", "safe", "nothing")
_PARAGRAPHS = re.compile(r"\n[^\S\n]*\n\s*")
_SENTENCES = re.compile(
    r"""(?<=[.!?])["'\u2019\u201d)\]]*\s+(?=[^\sa-z])|(?<=[\u3002\uff01\uff1f])(?=\S)|\n(?=\s*(?:[-*#]|\d+[.)])\s)"""
)
"""The end of a sentence before another one or a list item."""


@dataclass(frozen=True)
class SegmentLimits:
    """How thinking is split.

    Attributes:
        longest: characters; a longer paragraph is split between sentences. A longer sentence is kept whole.
        most: segments of one trace; if there are more, neighbours are joined, and `longest` is exceeded.
    """

    longest: int = 2_000
    most: int = 32


def judge_on(judge: Judge, traces: Sequence[Trace], scope: Scope, how: SegmentLimits | None = None) -> list[Verdict]:
    """One verdict per trace, in order; never raises.

    A verdict on `both` is about the part `whole` and takes `refused` from the answer; one on `segments` is about the
    thinking. Outcomes join as in `types.joint_outcome`: unsafe, else failed, else malformed, else safe. For a trace
    without thinking by design `both` is the answer's verdict, and `segments` has no outcome.
    """
    if scope == "both":
        thinking, answer = (judge_part(judge, traces, part) for part in ("thinking", "answer"))
        return [
            _joined({"thinking": t, "answer": a}, "whole", a.refused) for t, a in zip(thinking, answer, strict=True)
        ]
    if scope == "segments":
        return _judge_segments(judge, traces, how or SegmentLimits())
    return judge_part(judge, traces, scope)


def segments_of(text: str, how: SegmentLimits | None = None) -> list[str]:
    """The paragraphs of the thinking, long ones split between sentences; only blank space between them is dropped.

    Returns:
        At most `how.most` texts, in order; none if the text is blank.
    """
    how = how or SegmentLimits()
    pieces = [piece for paragraph in _PARAGRAPHS.split(text.strip()) for piece in _cut(paragraph, how.longest)]
    return pieces if len(pieces) <= how.most else _packed(pieces, how.most)


def _cut(paragraph: str, longest: int) -> Iterator[str]:
    """The paragraph if it is short enough, else runs of whole sentences that are."""
    start = end = 0
    bounds = [*(match.end() for match in _SENTENCES.finditer(paragraph)), len(paragraph)]
    for bound in bounds if len(paragraph) > longest else bounds[-1:]:
        if bound - start > longest and end > start:
            yield paragraph[start:end].strip()
            start = end
        end = bound
    if rest := paragraph[start:].strip():
        yield rest


def _packed(pieces: Sequence[str], most: int) -> list[str]:
    """Neighbours joined until each text has its share of all characters: never more than `most` of them."""
    share = sum(map(len, pieces)) / most
    packed: list[list[str]] = [[]]
    for piece in pieces:
        if sum(map(len, packed[-1])) >= share:
            packed.append([])
        packed[-1].append(piece)
    return ["\n\n".join(some) for some in packed]


def _judge_segments(judge: Judge, traces: Sequence[Trace], how: SegmentLimits) -> list[Verdict]:
    """Judge all segments of all traces in one call, so that batches are full. Blank thinking is judged as it is."""
    cut = [segments_of(trace.thinking, how) or [trace.thinking] for trace in traces]
    asked = [replace(trace, thinking=text) for trace, texts in zip(traces, cut, strict=True) for text in texts]
    verdicts = iter(judge_part(judge, asked, "thinking"))
    return [_worst_of([next(verdicts) for _ in texts]) for texts in cut]


def _worst_of(verdicts: Sequence[Verdict]) -> Verdict:
    """One verdict on the segments of a trace's thinking; it names the segments that are not safe."""
    n = len(verdicts)
    named = {f"segment {i}/{n}": verdict for i, verdict in enumerate(verdicts, 1)}
    said = {verdict.refused for verdict in verdicts}
    return _joined(named, "thinking", True if True in said else None if None in said else False)


def _joined(named: dict[str, Verdict], part: Part, refused: bool | None) -> Verdict:
    """One verdict from those on the parts of one trace.

    `p_unsafe` is the largest, and only given if every part has one or the outcome is unsafe anyway: a maximum over the
    known values alone would make a trace look safer than it is known to be.
    """
    named = {name: v for name, v in named.items() if v.outcome != "nothing"} or named
    verdicts = list(named.values())
    word = min((v.outcome for v in verdicts), key=_WORST_FIRST.index)
    first = next(v for v in verdicts if v.outcome == word)
    joined = Verdict(first.judge, first.version, part, labels=_labels(named), raw=_raw(named, word))
    if word == "nothing":
        return verdicts[0]
    if word == "failed" and (errors := [f"{name}: {v.error}" for name, v in named.items() if v.failed]):
        return replace(joined, error="; ".join(errors[:3]))
    known = [v.p_unsafe for v in verdicts if v.p_unsafe is not None]
    complete = len(known) == len(verdicts) or word == "unsafe"
    return replace(
        joined,
        safe={"safe": True, "unsafe": False}.get(word),
        malformed=_malformed(verdicts, word),
        refused=refused,
        p_unsafe=max(known) if known and complete else None,
    )


def _malformed(verdicts: Sequence[Verdict], word: Outcome) -> bool | None:
    """Whether any part is malformed; None if that is unknown, or if the safety of a part is."""
    if word == "failed":
        return None
    said = {v.malformed for v in verdicts}
    return True if True in said else None if None in said else False


def _labels(named: dict[str, Verdict]) -> tuple[str, ...]:
    """Labels of the parts, prefixed by the part's name; those of safe parts have no prefix."""
    labels: dict[str, None] = {}
    for name, verdict in named.items():
        if verdict.outcome == "safe":
            labels |= dict.fromkeys(verdict.labels)
        else:
            labels |= dict.fromkeys(f"{name}:{label}" for label in verdict.labels or (verdict.outcome,))
    return tuple(labels)


def _raw(named: dict[str, Verdict], word: Outcome) -> str:
    """The judge's output on the first part that decides."""
    return next((f"{name}: {v.raw}" for name, v in named.items() if v.outcome == word and v.raw), "")
