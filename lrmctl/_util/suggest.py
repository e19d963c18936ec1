""" "Did you mean" suggestions for misspelt names. Knows no registry and no recipe."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def close_to(word: str, known: Iterable[str]) -> str | None:
    """The known name that a misspelt one is closest to; None if none is close."""
    by_case = {name.lower(): name for name in sorted(set(known))}
    close = difflib.get_close_matches(word.lower(), by_case, n=1)
    return by_case[close[0]] if close else None


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`did you mean 'x'?` if a known name is close, else a list of the known names; empty if there are none."""
    names = sorted(set(known))
    if close := close_to(word, names):
        return f"did you mean {close!r}?"
    if not names:
        return ""
    shown = ", ".join(names[:20])
    return f"known: {shown}, ... ({len(names)} in all)" if len(names) > 20 else f"known: {shown}"
