"""Spans of a completion's text and their token counts.

If token ids are known, text is assembled from pieces that end at marker tokens, so spans bounded by markers have exact
counts; spans that end elsewhere are re-encoded.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

from lrmctl.thinking.formats import ThinkingFormat, builtin_formats

Span = tuple[int, int]


class SpanCounter(Protocol):
    """Token counts and clean text of spans of one text."""

    text: str

    def tokens(self, span: Span) -> int: ...

    def clean(self, span: Span) -> str: ...


class TextCounter:
    """Counts tokens of plain text.

    Args:
        count: returns the number of tokens in a text; None makes all counts 0.
    """

    def __init__(self, text: str, count: Callable[[str], int] | None) -> None:
        self.text, self._count = text, count

    def tokens(self, span: Span) -> int:
        return self._count(self.text[slice(*span)]) if self._count else 0

    def clean(self, span: Span) -> str:
        return self.text[slice(*span)]


class _Piece(NamedTuple):
    """`tokens` tokens whose text is `text[start:end]`."""

    start: int
    end: int
    tokens: int


class IdCounter:
    """Counts tokens of a text that was decoded from token ids."""

    def __init__(self, text: str, pieces: Sequence[_Piece], tokenizer: Any) -> None:
        self.text, self._pieces, self._tokenizer = text, pieces, tokenizer

    def tokens(self, span: Span) -> int:
        start, end = span
        total = 0
        for piece in self._pieces:
            a, b = max(start, piece.start), min(end, piece.end)
            if (a, b) == (piece.start, piece.end):
                total += piece.tokens
            elif a < b:
                total += len(self._tokenizer.encode(self.text[a:b], add_special_tokens=False))
        return total

    def clean(self, span: Span) -> str:
        return self.text[slice(*span)]


def counter_of_ids(ids: Sequence[int], tokenizer: Any, form: ThinkingFormat | None) -> IdCounter:
    """Decode token ids without special tokens except markers, and keep the token counts of its pieces.

    Args:
        form: the format whose markers are kept; None keeps those of every built-in format.
    """
    forms = (form,) if form else builtin_formats().values()
    words = {text for each in forms for text in each.literals}
    kept = _marker_tokens(tokenizer, words)
    text, pieces, start = "", [], 0
    for i in [*(i for i, token in enumerate(ids) if token in kept), len(ids)]:
        if i > start:
            said = str(tokenizer.decode(ids[start:i], skip_special_tokens=True))
            pieces.append(_Piece(len(text), len(text) + len(said), i - start))
            text += said
        if i < len(ids):
            marker = kept[ids[i]]
            pieces.append(_Piece(len(text), len(text) + len(marker), 1))
            text += marker
        start = i + 1
    return IdCounter(text, pieces, tokenizer)


def _marker_tokens(tokenizer: Any, words: set[str]) -> dict[int, str]:
    """Tokens that are a marker or an added part of one, such as `<|channel|>`, by id."""
    found: dict[int, str] = {}
    for i, token in added_tokens(tokenizer).items():
        if token in words or (token.startswith("<|") and any(token in word for word in words)):
            found[i] = token
    for word in words:
        i = tokenizer.convert_tokens_to_ids(word)
        if isinstance(i, int) and i != tokenizer.unk_token_id:
            found[i] = word
    return found


def added_tokens(tokenizer: Any) -> dict[int, str]:
    """Tokens added to a tokenizer's vocabulary, special or not, by id."""
    return {int(i): str(token) for i, token in getattr(tokenizer, "added_tokens_decoder", {}).items()}
