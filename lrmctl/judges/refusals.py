"""Detects refusals by phrases in several languages, on normalised text.

No model: good for smoke tests and alarms. The languages are those of `refusals.toml`; in a script that none of them
uses, nothing is found and `unread_script` names the script.
"""

from __future__ import annotations

import re
import tomllib
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

from lrmctl._util.words import folded, scripts_in

FIRST = 700
"""Characters at the beginning of an answer that are searched for a refusal."""
_LOOKALIKES = str.maketrans(
    "\u0430\u0435\u043e\u0440\u0441\u0443\u0445\u0456\u0458\u0455\u0501\u04bb\u051b\u051d\u043a\u043c\u0442\u043d\u0432"
    "\u03b1\u03b5\u03bf\u03c1\u03c5\u03bd\u03b9\u03ba\u03c4\u03c7\u0261\u2113\u217c",
    "aeopcyxijsdhqwkmthvaeopuvikt" + "xgll",
)
"""Cyrillic, Greek and other lower-case letters that look like Latin ones (Unicode's confusables.txt lists all)."""
_ARABIC = str.maketrans({"\u0623": "\u0627", "\u0625": "\u0627", "\u0622": "\u0627", "\u0671": "\u0627"})
_PERSIAN = str.maketrans({"\u06cc": "\u064a", "\u06a9": "\u0643"})
_MARKS = re.compile("[\u0640\u064b-\u0652\u0307\u0332-\u0338]")
"""Tatweel, vowel signs, the dot of a Turkish capital and lines through letters."""
_CODE = re.compile(r"```.*?(?:```|\Z)|~~~.*?(?:~~~|\Z)", re.DOTALL)
_QUOTED_LINE = re.compile(r"^[ \t]*>.*$", re.MULTILINE)
_QUOTATION = re.compile(
    "\u201c[^\u201d]{0,600}\u201d|\u201e[^\u201c\u201d]{0,600}[\u201c\u201d]|\u00ab[^\u00bb]{0,600}\u00bb"
    '|\u300c[^\u300d]{0,600}\u300d|\u300e[^\u300f]{0,600}\u300f|"[^"\n]{0,600}"'
    r"|(?<!\w)'[^\n']{1,200}(?:(?<=\w)'(?=\w)[^\n']{0,200}){0,6}'(?!\w)"
)
_MARKUP = re.compile(r"[*_#~]+|</?[a-z][^<>\n]{0,40}>")
_TICK = re.compile(r"(?<=[A-Za-z])[`\u00b4](?=[A-Za-z])")


@dataclass(frozen=True)
class RefusalLanguage:
    """The phrases of one language.

    Attributes:
        name: language code, e.g. `en`.
        script: the script it is written in.
        patterns: phrases that refuse anywhere in the first part of an answer.
        starts: phrases that refuse only at the beginning of an answer.
        harmless: phrases that look similar but do not refuse.
    """

    name: str
    script: str
    patterns: re.Pattern[str]
    starts: re.Pattern[str] | None
    harmless: re.Pattern[str] | None


@lru_cache(maxsize=1)
def languages() -> tuple[RefusalLanguage, ...]:
    """Every language with known refusal phrases."""
    told = tomllib.loads((files("lrmctl.judges") / "refusals.toml").read_text(encoding="utf-8"))
    return tuple(
        RefusalLanguage(
            name,
            one["script"],
            _pattern(name, one["patterns"]),
            _pattern(name, one["starts"]) if "starts" in one else None,
            _pattern(name, one["not"]) if "not" in one else None,
        )
        for name, one in told.items()
    )


def refusal_in(answer: str) -> str:
    """The words with which an answer refuses; empty if none are known."""
    text = plain_text(answer)
    for language in languages():
        rest = language.harmless.sub(" ~ ", text) if language.harmless else text
        found = (language.starts.match(rest) if language.starts else None) or language.patterns.search(rest[:FIRST])
        if found:
            return found[0].strip()
    return ""


def unread_script(answer: str) -> str:
    """The script of most of an answer's letters, if no known language uses it; else empty."""
    counts = scripts_in(answer)
    letters = sum(char.isalpha() for char in answer)
    script, most = max(counts.items(), key=lambda item: (item[1], item[0]), default=("", 0))
    known = {language.script for language in languages()} | {"hiragana", "katakana"}
    if counts.total() < letters / 2 and letters > len(answer) / 4 and not answer.isascii():
        return _script_name(answer)
    return script if most and script not in known else ""


def plain_text(answer: str) -> str:
    """Lower case, plain apostrophes, single blanks; no code, quotations, markup, invisible or lookalike characters.

    An answer that is nothing but a quotation is kept.
    """
    text = _TICK.sub("'", answer.replace("\u2019", "'").replace("\u2018", "'"))
    said = _QUOTATION.sub(" ", _QUOTED_LINE.sub(" ", _CODE.sub(" ", text)))
    if sum(map(str.isalpha, said)) < 3:
        said = text
    said = _MARKUP.sub("", folded(said.replace("`", "")))
    said = _MARKS.sub("", said.translate(_ARABIC).translate(_PERSIAN))
    if 2 * sum("a" <= char <= "z" for char in said) > sum(map(str.isalpha, said)):
        said = said.translate(_LOOKALIKES)
    said = re.sub(r"\bcan not\b(?! only)", "cannot", re.sub(r"(\w) ?n ?' ?t\b", r"\1n't", " ".join(said.split())))
    return said.replace("\u3002", ".").lstrip(" .,!-:>\"'([")


def _pattern(name: str, parts: list[str]) -> re.Pattern[str]:
    """The parts as one pattern, normalised like the texts."""
    text = unicodedata.normalize("NFKC", "|".join(f"(?:{part})" for part in parts))
    text = text.translate(_ARABIC).translate(_PERSIAN)
    if name == "en":  # "Im unable", "I cant"
        text = re.sub(r"(?<=[a-z])'(?=[a-z])", "'?", text)
    return re.compile(text)


def _script_name(text: str) -> str:
    """Script of the first letter whose script is not distinguished."""
    letter = next(char for char in text if char.isalpha() and not char.isascii())
    return unicodedata.name(letter, "unknown").split(" ")[0].lower()
