"""Words and scripts of a text in any language, by Unicode properties alone. No dictionary, no model.

Scripts without spaces between words are those that Unicode line breaking leaves to a dictionary (class SA: Thai, Lao,
Khmer, Burmese, ...), and Han and kana. There each character, with its combining marks, is a word, so n-grams of words
are n-grams of characters.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from functools import lru_cache
from typing import Any

APOSTROPHES = "\u2018\u2019\u201b\u02b9\u02bb\u02bc\u02bd\u02c8\u2032\u2035\u0060\u00b4\u055a\ua78c\uff07"
"""Characters that are typed as an apostrophe."""
_ASCII_WORD = re.compile(r"[a-z0-9]+(?:'[a-z0-9]+)*")
_APOSTROPHES = str.maketrans(dict.fromkeys(APOSTROPHES, "'"))
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
"""The scripts that are distinguished; `KNOWN` adds languages that are written in several of them."""
KNOWN = (*SCRIPTS, *_LANGUAGE_SCRIPTS)


def words_of(text: str) -> list[str]:
    """Normalized words (see `folded`); in a script without spaces each character is a word."""
    plain = folded(text)
    return _ASCII_WORD.findall(plain) if plain.isascii() else _words().findall(plain)


def folded(text: str) -> str:
    """Normalize a text: NFKC, case folded, plain apostrophes, no invisible characters."""
    if text.isascii():
        return text.lower().replace("`", "'")
    text = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text.translate(_APOSTROPHES)).casefold())
    return str(_unseen().sub("", text))


@lru_cache(maxsize=1)
def _words() -> Any:
    """Compiled on first use: importing `regex` takes as long as the rest of the command line."""
    import regex

    unspaced = r"\p{LB=SA}\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}"
    letter = rf"[[\p{{Alphabetic}}\p{{M}}\p{{N}}]--[{unspaced}]]"
    return regex.compile(rf"(?V1)[{unspaced}]\p{{M}}*|{letter}+(?:'{letter}+)*")


@lru_cache(maxsize=1)
def _unseen() -> Any:
    import regex

    return regex.compile(r"[\p{Default_Ignorable_Code_Point}\p{Cf}]+")


def scripts_in(text: str) -> Counter[str]:
    """Number of letters by script; code, LaTeX, digits, symbols and letters of unknown scripts are left out."""
    counts = Counter(script_of(char) for char in _NOT_PROSE.sub(" ", text) if char.isalpha())
    del counts[""]
    return counts


def scripts_named(name: str) -> frozenset[str]:
    """The scripts that a script's or language's name stands for."""
    return _LANGUAGE_SCRIPTS.get(name, frozenset({name}))


def scripts_of_prompt(text: str) -> frozenset[str]:
    """The script of most letters of a prompt; for Japanese and Korean, all of their scripts. Empty without letters.

    Over 10 % kana means Japanese, because Japanese text may be mostly Han.
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
