"""Where a completion is cut because of its text: a stop in the answer, or the tag that closes the thinking.

Reads tokens as they are drawn, each once. Only rows that ask for it have a `Watch`. Stops count outside of thinking
only: models write blank lines and "Question:" while they think, and cutting there would leave no answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from lrmctl.engines.requests import Request
from lrmctl.trace import DEFAULT_TAGS, ThinkTags, opens_thinking, split_text

_CHARACTER = 8
"""Tokens that a character may have; after as many, bytes that are none are taken for what they are."""


def opened_before(request: Request) -> bool:
    """Whether the prompt, without what was forced, opened the thinking."""
    return opens_thinking(request.text.removesuffix(request.forced))


def starts_inside(request: Request) -> bool:
    """Whether the thinking is open where the model goes on."""
    return split_text(request.forced, opened=opened_before(request)).state == "unclosed"


@dataclass
class Watch:
    """Follows the text of one completion.

    Attributes:
        inside: the thinking is open.
        cut_before_end: how many characters of the text so far are cut off; None as long as the row goes on.
    """

    tokenizer: Any
    stop: tuple[str, ...]
    end_thinking: bool
    inside: bool
    tags: ThinkTags = DEFAULT_TAGS
    cut_before_end: int | None = None
    _ids: list[int] = field(default_factory=list)
    _read: int = 0
    _seen: str = ""

    @classmethod
    def of(cls, request: Request, tokenizer: Any) -> Watch | None:
        """None for a request whose text does not matter."""
        how = request.sampling
        stop = tuple(text for text in how.stop if text)
        if not stop and not how.end_thinking:
            return None
        return cls(tokenizer, stop, how.end_thinking, starts_inside(request))

    def ends_with(self, token: int) -> bool:
        """Take the next token; True if the completion ends with it."""
        self._seen += self._text_of(token)
        while self.cut_before_end is None and self._step():
            pass
        return self.cut_before_end is not None

    def _text_of(self, token: int) -> str:
        """The text that a token adds; empty while a character is not complete.

        Some tokens decode differently at the beginning of a text, so that those of the last addition are decoded again.
        """
        self._ids.append(token)
        before = self._decode(self._ids[: self._read])
        now = self._decode(self._ids)
        torn = now.endswith("\ufffd") and len(self._ids) - self._read < _CHARACTER
        if torn or len(now) <= len(before):
            return ""
        self._ids, self._read = self._ids[self._read :], len(self._ids) - self._read
        return now[len(before) :]

    def _decode(self, ids: Sequence[int]) -> str:
        return str(self.tokenizer.decode(ids, skip_special_tokens=False))

    def _step(self) -> bool:
        """Go to the next thing that matters in what was seen and not yet passed; False if there is none."""
        words = (self.tags.close,) if self.inside else (*self.tags, *self.stop)
        places = [(place, word) for word in words if (place := self._seen.find(word)) >= 0]
        if not places:
            self._seen = self._seen[-max(map(len, words)) + 1 :] if max(map(len, words)) > 1 else ""
            return False
        place, word = min(places)
        after = place + len(word)
        if word in self.tags:
            self.inside = word == self.tags.open
            if word == self.tags.close and self.end_thinking:
                self.cut_before_end = len(self._seen) - after
        else:
            self.cut_before_end = len(self._seen) - place
        self._seen = self._seen[after:]
        return True


def cut(ids: Sequence[int], characters: int, tokenizer: Any) -> tuple[list[int], str]:
    """Tokens and their text without the last characters. A token that is cut in two is encoded anew."""
    text = str(tokenizer.decode(ids, skip_special_tokens=False))
    kept = text[: len(text) - characters]
    count = len(ids)
    while count and not kept.startswith(before := str(tokenizer.decode(ids[:count], skip_special_tokens=False))):
        count -= 1
    rest = kept[len(before) :] if count else kept
    return [*ids[:count], *(tokenizer.encode(rest, add_special_tokens=False) if rest else [])], kept
