"""Normalises the content of boxes: the same value in other characters, with units, or with a trailing comma.

Only changes that keep the value are made: never to a digit, a sign, a bracket or an order. Knows no reference.
"""

from __future__ import annotations

import re
import unicodedata
from decimal import Decimal

_DASHES = "\u2010\u2011\u2012\u2013\u2014\u2212\ufe63\uff0d"
_CHARACTERS = {
    **{ord(dash): "-" for dash in _DASHES},
    **{code: chr(code - 0xFEE0) for code in range(0xFF01, 0xFF5F) if chr(code) not in _DASHES},
    **dict.fromkeys([0xA0, 0x2007, 0x3000, 0xFE0F], " "),
    **{
        ord(sign): latex
        for sign, latex in {"\u00b0": "^{\\circ}", "\u00ba": "^{\\circ}", "\u2205": "\\emptyset"}.items()
    },
    **{ord(sign): latex for sign, latex in {"\u222a": "\\cup ", "\u221e": "\\infty ", "\u00b1": "\\pm "}.items()},
    **{ord(sign): latex for sign, latex in {"\u2264": "\\le ", "\u2265": "\\ge ", "\u2026": "\\ldots "}.items()},
}
_RAISED = str.maketrans("\u2070\u00b9\u00b2\u00b3\u2074\u2075\u2076\u2077\u2078\u2079\u207b\u207a", "0123456789-+")
_RAISED_RUN = re.compile("[\u2070\u00b9\u00b2\u00b3\u2074-\u207b]+")
_VULGAR = re.compile("[\u00bc-\u00be\u2150-\u215e]")
_ROOT = re.compile("\u221a\\s*(?:\\(([^()]*)\\)|(\\d+(?:\\.\\d+)?|[A-Za-z]))")
_GROUPED = re.compile(r"(?<![\d.])\d{1,3}(?:(?:\\[,!; ]|~|[\u2009\u202f ]|['\u2019])\d{3})+(?!\d)")
_TYPEFACE = re.compile(r"\\(?:text|textbf|textit|textrm|textnormal|mbox|mathrm|mathbf|bf|rm)\s*\{([^{}]*)\}")
_MIXED = re.compile(r"([-+]?\d+)\s+(\d+)\s*/\s*(\d+)")
_SCIENTIFIC = re.compile(r"([-+]?\d+(?:\.\d+)?)[eE]([-+]?\d+)")
_ORDINAL = re.compile(r"(\d)\s*(?:\^\s*\{?\s*)?(?:\\text\s*\{\s*)?(?:st|nd|rd|th)\s*\}*")
_AMOUNT = re.compile(
    r"(?:[\u20ac\u00a3\u00a5]|\\?\$|USD|EUR|GBP)?\s*(?P<number>[-+]?[\d,]*\.?\d+)\s*[\u20ac\u00a3\u00a5]?"
    r"(?P<words>(?:\s+[A-Za-z]+(?:/[A-Za-z]+|\^\s*\{?\d\}?)?\.?){0,4})"
)
_SCALES = {"hundred": 2, "thousand": 3, "million": 6, "billion": 9, "trillion": 12}
_SHORT_UNITS = re.compile("[kcdm][mgls]|hr|am|pm|a\\.m|p\\.m|ft|in|yd|mi|lb|oz|hz")
_NO_UNITS = re.compile(
    "or|and|to|times|plus|minus|over|by|of|half|third|quarter|dozen|percent|mod|sin|cos|tan|log|exp|sqrt"
)
_NUMBER = re.compile(r"[-+]?(\d{1,3}(,\d{3})+|\d*)(\.\d+)?")
_ENDS = re.compile(r"^(?:\\[,;:! ]|~|\s|=|\\approx\b|\\displaystyle\b)+|(?:\\[,;:! \\]|~|\s|[,;:]|(?<!\.)\.)+$")


def tidied(latex: str) -> str:
    """The same value in plain LaTeX characters, with nothing after it."""
    text = _VULGAR.sub(_fraction, latex.translate(_CHARACTERS))
    text = _RAISED_RUN.sub(lambda m: f"^{{{m[0].translate(_RAISED)}}}", text)
    text = _ROOT.sub(lambda m: f"\\sqrt{{{m[1] or m[2]}}}", text)
    text = re.sub(r"\\(?:textcolor|color)\s*\{[^{}]*\}", "", text.replace("\\varnothing", "\\emptyset"))
    text = _GROUPED.sub(lambda m: re.sub(r"\D", "", m[0]), _ENDS.sub("", text))
    if mixed := _MIXED.fullmatch(text):
        return f"{mixed[1]}\\frac{{{mixed[2]}}}{{{mixed[3]}}}"
    if scientific := _SCIENTIFIC.fullmatch(text):
        return f"{scientific[1]}\\times 10^{{{int(scientific[2]) if len(scientific[2]) < 9 else scientific[2]}}}"
    return _without_unit(text)


def number(latex: str) -> Decimal | None:
    """The value of a plain decimal number, with or without thousands separators; None for anything else."""
    plain = latex.strip().strip("$").strip().replace("{,}", ",")
    found = _NUMBER.fullmatch(plain)
    return Decimal(plain.replace(",", "")) if found and any(map(str.isdigit, plain)) else None


def same_text(a: str, b: str) -> bool:
    """Equal apart from blanks that do not separate two numbers."""
    return _unspaced(a) == _unspaced(b)


def _unspaced(text: str) -> str:
    return re.sub(r"(?<!\d)\s+|\s+(?!\d)", "", text.strip())


def _fraction(sign: re.Match[str]) -> str:
    above, _, below = unicodedata.normalize("NFKC", sign[0]).partition("\u2044")
    return f"\\frac{{{above}}}{{{below}}}"


def _without_unit(text: str) -> str:
    """`18.90 dollars` is 18.90, `2 million` is 2 times ten to the sixth; anything else is unchanged."""
    if ordinal := _ORDINAL.fullmatch(text[-40:]):
        return ordinal[1] if len(text) <= 40 else text
    amount = _AMOUNT.fullmatch(" ".join(_TYPEFACE.sub(r" \1 ", text).split())) if len(text) < 80 else None
    if amount is None:
        return text
    words = [word.strip(".").lower() for word in amount["words"].split()]
    scale = [_SCALES[word] for word in words[:1] if word in _SCALES]
    if scale and not any(map(_NO_UNITS.fullmatch, words)):
        return f"{amount['number']}\\times 10^{{{scale[0]}}}"
    return amount["number"] if all(map(_is_unit, words)) else text


def _is_unit(word: str) -> bool:
    """Whether this is a unit: a word of three letters or more, or a shorter one that is no product of symbols."""
    plain = re.split(r"[\s^/]", word)[0]
    return bool(
        _SHORT_UNITS.fullmatch(plain) or (len(plain) > 2 and not _NO_UNITS.fullmatch(plain) and plain not in _SCALES)
    )
