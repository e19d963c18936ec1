""" "Did you mean" suggestions for misspelt names. Knows no registry and no recipe."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`did you mean 'x'?` if a known name is close, else a list of the known names; empty if there are none."""
    names = sorted(set(known))
    by_case = {name.lower(): name for name in names}
    if close := difflib.get_close_matches(word.lower(), by_case, n=1):
        return f"did you mean {by_case[close[0]]!r}?"
    if not names:
        return ""
    shown = ", ".join(names[:20])
    return f"known: {shown}, ... ({len(names)} in all)" if len(names) > 20 else f"known: {shown}"
