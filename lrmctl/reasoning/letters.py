"""Multiple choice: which letter an answer commits to, parsed strictly. Used by graders and rewards alike.

Knows no data set. A capital letter that merely occurs in a text is never taken as a choice.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence

from lrmctl._util.boxed import boxed_answer

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_FACES = "text(?:bf|it|rm|sf|tt|normal)?|math(?:bf|rm|sf|it|tt|bb|cal)|boldsymbol|bm|mbox|operatorname|bf|rm|it"
_FACE = re.compile(rf"\\(?:{_FACES})\s*\{{([^{{}}]*)\}}|(?<![\\A-Za-z])\{{([^{{}}]*)\}}")
_SWITCH = re.compile(rf"\\(?:{_FACES}|large|Large|huge|displaystyle)(?![A-Za-z])|\\[,;:! ]|~")
_MARKUP = re.compile(r"[*_`$]|\\[()]")
_ONE = r"[(\[]?(?P<letter>[A-Za-z])[)\]]?(?![0-9A-Za-z_'\u2019\u00c0-\u024f])"
_LEAD = (
    r"(?:(?:the|my)\s+)?(?:(?:correct|right|best|final)\s+){0,2}"
    r"(?:option|choice|answer|letter)\b\s*(?:is\b)?\s*[:=]?\s*"
)
_SINGLE = re.compile(rf"(?:{_LEAD}){{0,2}}{_ONE}(?P<rest>.*)", re.IGNORECASE | re.DOTALL)
_NAMED = re.compile(r"\s*(?:[).:,]|[-\u2013\u2014]\s|\()\s*(?P<text>.*)", re.DOTALL)
"""What may follow a letter in a box: punctuation, and the text of the choice."""
_WORDS = (
    "answer|(?:correct|right|best|final)\\s+(?:choice|option)|respuesta|r\u00e9ponse|antwort|risposta|resposta|jawaban|"
    "cevap|\u043e\u0442\u0432\u0435\u0442|\u0111\u00e1p\\s+\u00e1n"
)
_UNSPACED_WORDS = (
    "\u7b54\u6848|\u6b63\u89e3|\u7b54\u3048|\uc815\ub2f5|\u0e04\u0e33\u0e15\u0e2d\u0e1a|\u0909\u0924\u094d\u0924\u0930"
)
_IS = (
    r"(?:\b(?:is|would\s+be|must\s+be|es|est|ist|adalah)\b|\b\u00e8|\b\u00e9|[:=]|\u662f|\u4e3a|\u306f|\uc740|\uc740\s)"
)
_STATED = re.compile(
    rf"(?:\b(?:{_WORDS})|{_UNSPACED_WORDS})\s*(?:{_IS})\s*[:=]?\s*(?:(?:option|choice|letter)\s+)?{_ONE}"
    r"(?=(?P<rest>[^\n]{0,40}))",
    re.IGNORECASE,
)
_CORRECT = re.compile(rf"\b(?:option|choice)\s+{_ONE}\s+is\s+(?:the\s+)?(?:correct|right|best)\b", re.IGNORECASE)
_STATED_TEXT = re.compile(
    rf"(?:\b(?:{_WORDS})|{_UNSPACED_WORDS})\s*(?:{_IS})\s*[:=]?\s*(?P<text>[^\n]+)", re.IGNORECASE
)
_REASON = re.compile(r"\s+(?!(?:because|since|as|due|for|with|is)\b)[a-z]")
"""A word after A or I that shows that it is an article or a pronoun."""
_ANOTHER = re.compile(
    r"\s*(?:,|/|;|\bor\b|\band\b|&)\s*(?:(?:or|and)\s+)?(?:(?:option|choice)\s+)?[(\[]?([A-Za-z])[)\]]?(?![0-9A-Za-z_'\u2019\u00c0-\u024f])",
    re.IGNORECASE,
)
_DEEPEST = 6
"""Maximum nesting of typefaces."""
_ALONE = re.compile(r"[(\[]?([A-Za-z])[)\].:]*")


def read_letter(answer: str, letters: str, choices: Sequence[str] = ()) -> str | None:
    """The one letter that an answer commits to; None for no letter or two.

    In this order: the last `\\boxed{}`, with boxes that a comma, "and" or "or" joins to it; the last line that states
    an answer ("the answer is (C)", "Answer: c"); the whole answer, if it is nothing but a letter or a choice.

    Args:
        answer: the answer segment.
        letters: the letters that can be chosen, upper case.
        choices: the texts of the choices, in the order of the letters, if known: a text that is unique among them
            stands for its letter.
    """
    known = letters[: len(choices)] if choices else letters
    named = _by_text(known, choices)
    boxed = boxed_answer(answer)
    if boxed is not None:
        found = {_of_box(boxed, known, named)}
    else:
        text = plain(answer)
        found = set(_stated(text, named)) or {_alone(text, named)}
    letter = found.pop() if len(found) == 1 else ""
    return letter if letter and letter in known else None


def single_letter(text: str, letters: str) -> str | None:
    """The letter of a reference, such as `(C)`."""
    letter = _of_box(text, letters, {})
    return letter if letter and letter in letters else None


def plain(text: str) -> str:
    """Text in Unicode's compatibility form, without markup that only sets a typeface."""
    text = _MARKUP.sub("", unicodedata.normalize("NFKC", text))
    for _ in range(_DEEPEST):
        previous, text = text, _FACE.sub(lambda m: m[1] or m[2] or "", text)
        if previous == text:
            break
    return _SWITCH.sub(" ", text).strip()


def _key(text: str) -> str:
    return " ".join(plain(text).split()).rstrip(".").casefold()


def _by_text(letters: str, choices: Sequence[str]) -> dict[str, str]:
    """Letters by the texts of their choices, without texts that occur twice."""
    keys = [_key(choice) for choice in choices]
    return {key: letter for letter, key in zip(letters, keys, strict=False) if key and keys.count(key) == 1}


def _of_box(content: str, letters: str, named: dict[str, str]) -> str:
    """The letter in a box; empty if there is none."""
    text = plain(content)
    alone = _ALONE.fullmatch(text)
    if alone and alone[1].upper() in letters:
        return alone[1].upper()
    if _key(content) in named:
        return named[_key(content)]
    found = _SINGLE.fullmatch(text)
    if found is None or not _rest_fits(found, named):
        return ""
    return found["letter"].upper()


def _rest_fits(found: re.Match[str], named: dict[str, str]) -> bool:
    """Whether the text after a letter is the choice's text, and no second letter."""
    rest, letter = found["rest"], found["letter"].upper()
    if not rest.strip(" .") or named.get(_key(rest)) == letter:
        return True
    following = _NAMED.fullmatch(rest)
    if _ANOTHER.match(rest) or _ALONE.fullmatch((following["text"] if following else rest).strip()):
        return False
    return following is not None or found.string[: found.start("rest")].endswith((")", "]"))


def _stated(text: str, named: dict[str, str]) -> list[str]:
    """The letters of the last line that states any."""
    for line in reversed(text.splitlines()):
        if found := list(_of_line(line, named)):
            return found
    return []


def _of_line(line: str, named: dict[str, str]) -> Iterator[str]:
    for match in _STATED.finditer(line):
        if match["letter"] in "aiAI" and _REASON.match(match["rest"]):
            continue
        yield match["letter"].upper()
        if another := _ANOTHER.match(match["rest"]):
            yield another[1].upper()
    for match in _CORRECT.finditer(line):
        yield match["letter"].upper()
    for match in _STATED_TEXT.finditer(line):
        if _key(match["text"]) in named:
            yield named[_key(match["text"])]


def _alone(text: str, named: dict[str, str]) -> str:
    if found := _ALONE.fullmatch(text):
        return found[1].upper()
    key = _key(text)
    if key in named:
        return named[key]
    parts = re.fullmatch(rf"{_ONE}\s*[).:,-]?\s*(?P<text>.+)", text, re.DOTALL)
    return parts["letter"].upper() if parts and named.get(_key(parts["text"])) == parts["letter"].upper() else ""
