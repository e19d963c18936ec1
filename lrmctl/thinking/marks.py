"""Finds a format's markers in a text, and which are only mentioned: in code, in quotes, in a sentence.

Models also write about think tags. A mentioned marker is text; any other opens or closes thinking.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence
from functools import lru_cache
from sys import maxsize
from typing import Literal, NamedTuple

from lrmctl.thinking.formats import ThinkingFormat

Mention = Literal["", "sentence", "fence", "code"]
"""How a marker is mentioned; empty for a real marker."""
_FENCE = re.compile(r"^[ \t]{0,3}(`{3,}+|~{3,}+)[^\n]*$", re.M)
_CODE = re.compile(r"(?<!`)(`++)[^`\n]++\1(?!`)")
_QUOTES = {'"': '"', "'": "'", "\u201c": "\u201d", "\u2018": "\u2019", "\u00ab": "\u00bb", "\u300c": "\u300d"}
_AFTER = frozenset(" \t.,;:!?)")


class MarkerSpan(NamedTuple):
    """One marker: `text[start:end]`."""

    start: int
    end: int
    opens: bool
    mention: Mention


def marks_of(text: str, form: ThinkingFormat) -> list[MarkerSpan]:
    """Every marker of the format, in order."""
    words = sorted((*form.all_opens, *form.all_closes), key=len, reverse=True)
    marker = "|".join(map(re.escape, words))
    pattern = rf"[*_#]{{0,6}} ?(?P<word>{marker})[*_]{{0,3}}" if form.prose else rf"(?P<word>{marker})"  # **emphasis**
    found = list(re.finditer(pattern, text))
    if not found:
        return []
    lines = re.sub("|".join(map(re.escape, words)), lambda m: f"{' ' * (len(m[0]) - 1)}\n", text)
    fences, code = _fenced(lines), _inline(text)  # a block may begin right after a marker
    return [MarkerSpan(m.start(), m.end(), m["word"] in form.all_opens, _mention(text, m, fences, code)) for m in found]


def mentioned(text: str, start: int, end: int) -> bool:
    """Whether the text at this position is only a mention."""
    match = re.compile(re.escape(text[start:end])).match(text, start)
    return bool(match and _mention(text, match, _fenced(text), _inline(text)))


def _mention(
    text: str, m: re.Match[str], fences: Sequence[tuple[int, int]], code: Sequence[tuple[int, int]]
) -> Mention:
    before, after = text[m.start() - 1 : m.start()], text[m.end() : m.end() + 1]
    if _QUOTES.get(before) == (after or "none") or _within(code, m.start(), m.end()):
        return "code"
    if _within(fences, m.start(), m.start()):
        return "fence"
    line = text[text.rfind("\n", 0, m.start()) + 1 : m.start()]
    return "sentence" if line.strip() and before in (" ", "\t", "(") and after in _AFTER and after else ""


def _within(spans: Sequence[tuple[int, int]], start: int, end: int) -> bool:
    """Whether one of the sorted spans contains the position."""
    i = bisect_right(spans, (start, maxsize)) - 1
    return i >= 0 and spans[i][0] <= start and end < spans[i][1]


@lru_cache(maxsize=16)
def _fenced(text: str) -> list[tuple[int, int]]:
    """Fenced Markdown blocks; an unclosed one extends to the end of the text."""
    blocks: list[tuple[int, int]] = []
    begun: tuple[int, str] | None = None
    for m in _FENCE.finditer(text):
        if begun is None:
            begun = (m.start(), m[1])
        elif m[0].strip() == m[1] and m[1].startswith(begun[1]):
            blocks.append((begun[0], m.end(1)))
            begun = None
    return [*blocks, (begun[0], len(text))] if begun else blocks


@lru_cache(maxsize=16)
def _inline(text: str) -> list[tuple[int, int]]:
    return [m.span() for m in _CODE.finditer(text)]
