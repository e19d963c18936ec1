"""Extracts answers from `\\boxed{}`. Plain text in, plain text out."""

from __future__ import annotations

import re

_BOX = re.compile(r"\\f?boxed\s*\{|\\fbox\s*\{")
_JOINED = re.compile(r"[\s$]*(?:,|;|\b(?:and|or)\b)(?:\s*(?:and|or)\b)?[\s$]*(?:[A-Za-z]\s*=\s*)?")
"""Separator between boxes that together form one answer."""


def last_boxed(text: str) -> str | None:
    """Content of the last complete `\\boxed{...}` or `\\fbox{...}`, braces balanced; None if there is none."""
    found = boxes(text)
    return found[-1][2] if found else None


def boxes(text: str) -> list[tuple[int, int, str]]:
    """Every complete outermost box as (start, end, content)."""
    starts = {m.end() - 1: m.start() for m in _BOX.finditer(text)}
    opened: list[int] = []
    found: list[tuple[int, int, str]] = []
    for i in re.finditer(r"[{}]", text) if starts else ():  # one pass: linear even for thousands of unclosed boxes
        if i[0] == "{":
            opened.append(i.start())
        elif opened and (last := opened.pop()) in starts and not (found and last < found[-1][0]):
            found.append((starts[last], i.end(), text[last + 1 : i.start()].strip().rstrip(".").strip()))
    return found


def boxed_answer(text: str) -> str | None:
    """Content of the last complete box, preceded by that of boxes joined to it by only a comma, "and" or "or"."""
    found = boxes(text)
    parts = found[-1:]
    for earlier in reversed(found[:-1]):
        if not _JOINED.fullmatch(text[earlier[1] : parts[0][0]][:40]):
            break
        parts.insert(0, earlier)
    return ", ".join(dict.fromkeys(part[2] for part in parts)) if parts else None
