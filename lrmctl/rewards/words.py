"""Words and scripts of a text in any language, by Unicode alone. No dictionary, no model."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from functools import lru_cache

# characters of scripts that put no blanks between words are words of their own
_UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_WORD = re.compile(rf"[{_UNSPACED}]|[^\W_{_UNSPACED}]+(?:['\u2019][^\W_{_UNSPACED}]+)*")
_NOT_PROSE = re.compile(
    r"```.*?(?:```|\Z)|`[^`\n]{0,300}`|\$\$.{0,2000}?\$\$|\$[^$\n]{0,300}\$|\\\[.{0,2000}?\\\]|\\\(.{0,300}?\\\)|\\[A-Za-z]+",
    re.S,
)
_LANGUAGE_SCRIPTS = {
    "japanese": frozenset({"han", "hiragana", "katakana"}),
    "korean": frozenset({"hangul", "han"}),
    "chinese": frozenset({"han"}),
}
_NAMES = {"cjk": "han", "hiragana": "hiragana", "katakana": "katakana", "katakana-hiragana": "hiragana"}
SCRIPTS = (
    *("latin", "han", "hiragana", "katakana", "hangul", "cyrillic", "greek", "arabic", "hebrew", "devanagari"),
    *("bengali", "gurmukhi", "gujarati", "tamil", "telugu", "kannada", "malayalam", "sinhala", "thai", "lao"),
    *("myanmar", "khmer", "georgian", "armenian", "ethiopic", "tibetan", "mongolian"),
)
"""Scripts that are told apart, and the languages below that are written in several of them."""
KNOWN = (*SCRIPTS, *_LANGUAGE_SCRIPTS)


def words_of(text: str) -> list[str]:
    """Words in lower case; each character of a script without blanks (Chinese, Japanese, Thai, ...) is a word."""
    return _WORD.findall(text.lower())


def scripts_in(text: str) -> Counter[str]:
    """Letters by script; code, LaTeX, digits, signs and letters of no known script are left out."""
    counts = Counter(script_of(char) for char in _NOT_PROSE.sub(" ", text) if char.isalpha())
    del counts[""]
    return counts


def scripts_named(name: str) -> frozenset[str]:
    """The scripts of a script's or language's name."""
    return _LANGUAGE_SCRIPTS.get(name, frozenset({name}))


def scripts_of_prompt(text: str) -> frozenset[str]:
    """The script in which most letters of a prompt are, Japanese and Korean with all of theirs; empty without letters.

    Kana decides for Japanese, because Japanese text may be mostly Han.
    """
    counts = scripts_in(text)
    if counts["hiragana"] + counts["katakana"] > 0.1 * counts.total():
        return scripts_named("japanese")
    most = max(counts, key=lambda script: (counts[script], script), default="")
    return scripts_named("korean" if most == "hangul" else most) if most else frozenset()


@lru_cache(maxsize=65536)
def script_of(char: str) -> str:
    """The script of a letter by the first word of its Unicode name; empty if it is none of `SCRIPTS`."""
    first = unicodedata.name(char, "").split(" ")[0].lower()
    script = _NAMES.get(first, first)
    return script if script in SCRIPTS else ""
