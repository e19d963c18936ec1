"""Texts with named places, such as `{prompt}`, that leave all other braces alone: LaTeX and code are full of them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence


def places(text: str, known: Sequence[str]) -> list[str]:
    """The known places that a text has, in order, each once."""
    return list(dict.fromkeys(re.findall(_pattern(known), text)))


def fill(text: str, values: Mapping[str, str]) -> str:
    """The text with each place replaced by its value. What is put in is not looked at again."""
    return re.sub(_pattern(list(values)), lambda found: values[found[1]], text)


def _pattern(known: Sequence[str]) -> str:
    return r"\{(" + "|".join(map(re.escape, known)) + r")\}"
