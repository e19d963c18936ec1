"""Sanitizes judged text in a judge's prompt. It must not be able to end its section, open a turn, or imitate the
template.

Three means: control tokens are broken up by a space, lines that look like a section of a raw template are quoted, and
free-form rubrics put the text between marks that do not occur in it. Knows no judge.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from hashlib import sha256

from lrmctl.thinking import builtin_formats

KNOWN_TOKENS = (
    "<s>", "</s>", "<unk>", "<pad>", "<bos>", "<eos>", "[INST]", "[/INST]", "<<SYS>>", "<</SYS>>",
    "<start_of_turn>", "<end_of_turn>", "<end_of_utterance>", "<|channel>", "<channel|>", "<|turn>", "<turn|>",
    "<BEGIN CONVERSATION>", "<END CONVERSATION>", "<BEGIN OUTPUT>", "<END OUTPUT>",
    "<BEGIN UNSAFE CONTENT CATEGORIES>", "<END UNSAFE CONTENT CATEGORIES>",
    *(tag for form in builtin_formats().values() if not form.prose for tag in (form.open, form.close)),
)  # fmt: skip
"""Always broken up: a server does not report its model's control tokens."""
_PIPED = re.compile(r"<(?=[|\uff5c][^<>\n]{1,60}[|\uff5c]>)")
_NEWLINES = r"[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]"
_PLACE = re.compile(r"\{(\w+)\}")


def defused(text: str, reserved: Iterable[str] = (), sections: Iterable[str] = ()) -> str:
    """The text without control tokens and without lines that begin like a section of the template.

    Args:
        reserved: additional control tokens, e.g. of the engine's tokenizer.
        sections: beginnings of section lines, case-insensitive; such lines are prefixed with `> `.
    """
    tokens = _tokens(tuple(reserved))
    for _ in range(8):  # breaking up one token can complete another, if a tokenizer has tokens with spaces
        text, found = tokens.subn(lambda token: f"{token[0][0]} {token[0][1:]}", _PIPED.sub("< ", text))
        if not found:
            break
    return _quoted(text, tuple(sections))


def _quoted(text: str, sections: tuple[str, ...]) -> str:
    return _lines(sections).sub(r"\1> ", f"\n{text}")[1:] if sections else text


@lru_cache(maxsize=64)
def _tokens(reserved: tuple[str, ...]) -> re.Pattern[str]:
    """Matches all control tokens except the piped ones, which are many and have their own pattern; longest first."""
    tokens = {token for token in (*KNOWN_TOKENS, *reserved) if len(token.strip()) > 1 and not _PIPED.match(token)}
    return re.compile("|".join(map(re.escape, sorted(tokens, key=lambda token: (-len(token), token)))))


@lru_cache(maxsize=64)
def _lines(sections: tuple[str, ...]) -> re.Pattern[str]:
    """Matches the beginning of a line that starts like a section."""
    return re.compile(rf"({_NEWLINES}[^\S\n]*)(?={'|'.join(map(re.escape, sections))})", re.IGNORECASE)


def filled(template: str, texts: Mapping[str, str]) -> str:
    """The template with each `{name}` replaced once; braces inside a text and unknown names are left alone."""
    return _PLACE.sub(lambda place: texts.get(place[1], place[0]), template)


def fenced(texts: Mapping[str, str]) -> dict[str, str]:
    """Each text between two lines with a mark that occurs in none of them.

    The mark is derived from the texts, so that the same question always has the same wording.
    """
    joined, n = "\0".join(texts.values()), 0
    while (mark := sha256(f"{n}:{joined}".encode(errors="replace")).hexdigest()[:12]) in joined:
        n += 1
    return {name: f"<<<{mark}\n{text}\n{mark}>>>" for name, text in texts.items()}
