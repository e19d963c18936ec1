"""Detects invisible text and repairs lone surrogates. Knows no rows and no models.

Some characters are invisible: zero-width spaces and joiners, byte order marks, bidi controls, variation selectors,
Hangul fillers, the blank Braille pattern, tags. A text of only these counts as blank, though `str.strip` keeps them.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Any

_INVISIBLE_CATEGORIES = frozenset({"Cc", "Cf", "Zs", "Zl", "Zp"})
_BLANK_LETTERS = frozenset("\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
"""Hangul fillers, Khmer inherent vowels and the blank Braille pattern: letters or symbols by category, but invisible
(Unicode, DerivedCoreProperties.txt: Default_Ignorable_Code_Point; the Braille pattern by its glyph)."""
_IGNORABLE = (
    (0x034F, 0x034F),
    (0x180B, 0x180F),
    (0x2065, 0x2065),
    (0xFE00, 0xFE0F),
    (0xFFF0, 0xFFF8),
    (0xE0000, 0xE0FFF),
)
"""Combining grapheme joiner, variation selectors, tags, and code points reserved for more of them."""


def is_invisible(char: str) -> bool:
    """Whether a character is invisible: white space, control and format characters, fillers, variation selectors."""
    if char in _BLANK_LETTERS or unicodedata.category(char) in _INVISIBLE_CATEGORIES:
        return True
    code = ord(char)
    return any(first <= code <= last for first, last in _IGNORABLE)


def is_blank(text: str) -> bool:
    """Whether the text is empty, invisible, or only combining marks without a base letter."""
    return all(is_invisible(char) or unicodedata.category(char) in ("Mn", "Me") for char in text)


def visible(text: str) -> str:
    """Strip invisible characters from both ends, including those that `str.strip` keeps."""
    if is_blank(text):
        return ""
    first = next((i for i, char in enumerate(text) if not is_invisible(char)), len(text))
    last = next((i for i in range(len(text), first, -1) if not is_invisible(text[i - 1])), first)
    return text[first:last]


_HALF = re.compile("[\ud800-\udfff]")


def whole_characters(text: str) -> str:
    """Replace each lone surrogate by U+FFFD, because files, tokenizers and databases reject surrogates."""
    return _HALF.sub("\ufffd", text)


def whole_json(value: Any) -> Any:
    """Apply `whole_characters` to every string in a JSON value, keys included."""
    if isinstance(value, str):
        return whole_characters(value)
    if isinstance(value, list):
        return [whole_json(one) for one in value]
    if isinstance(value, dict):
        return {whole_characters(key): whole_json(one) for key, one in value.items()}
    return value
