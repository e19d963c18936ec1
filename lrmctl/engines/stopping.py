"""Where a completion is cut because of its text: at a stop in the answer, or at the tag that closes the thinking.

Reads each token once, as it is sampled. Only rows that need it have a `StopWatcher`. Stops count outside thinking only:
models write blank lines and "Question:" while they think, and cutting there would leave no answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from lrmctl.engines.base import GenerationRequest
from lrmctl.thinking import (
    Thinking,
    ThinkingFormat,
    closes_thinking,
    default_format,
    opens_thinking,
    split_text,
    switched_off_by_words,
)

_QUOTES = {"`": "`", '"': '"', "\u201c": "\u201d"}
_CHARACTER = 8
"""Most tokens of one character; after that many, bytes that form no character are taken as they are."""


def opened_before(request: GenerationRequest, form: ThinkingFormat | None = None) -> bool:
    """Whether the prompt, without forced text, opened the thinking."""
    return opens_thinking(_prompt(request), form)


def closed_before(request: GenerationRequest, thinking: Thinking) -> bool:
    """Whether thinking is off for this prompt: the template closed it, or the user's message switches it off."""
    prompt = _prompt(request)
    return closes_thinking(prompt, thinking.format) or switched_off_by_words(prompt, thinking)


def starts_inside(request: GenerationRequest, form: ThinkingFormat | None = None) -> bool:
    """Whether the thinking is open where the model continues."""
    return split_text(request.forced, opened=opened_before(request, form), format=form).state == "unclosed"


def _prompt(request: GenerationRequest) -> str:
    return request.text.removesuffix(request.forced)


@dataclass
class StopWatcher:
    """Follows the text of one completion.

    Attributes:
        inside: the thinking is open.
        cut_before_end: number of characters to cut from the end of the text so far; None while the row runs.
    """

    tokenizer: Any
    stop: tuple[str, ...]
    end_thinking: bool
    inside: bool
    format: ThinkingFormat
    cut_before_end: int | None = None
    _ids: list[int] = field(default_factory=list)
    _read: int = 0
    _seen: str = ""
    _closed: bool = False

    @classmethod
    def of(cls, request: GenerationRequest, tokenizer: Any, form: ThinkingFormat | None = None) -> StopWatcher | None:
        """None for a request whose text does not matter."""
        how = request.sampling
        stop = tuple(text for text in how.stop if text)
        if not stop and not how.end_thinking:
            return None
        inside = starts_inside(request, form)
        opened = opened_before(request, form)
        closed = split_text(request.forced, opened=opened, format=form).state == "closed"
        return cls(tokenizer, stop, how.end_thinking, inside, form or default_format(), _closed=closed)

    def ends_with(self, token: int) -> bool:
        """Add the next token; True if the completion ends with it."""
        self._seen += self._text_of(token)
        while self.cut_before_end is None and self._step():
            pass
        return self.cut_before_end is not None

    def _text_of(self, token: int) -> str:
        """The text that a token adds; empty while a character is incomplete.

        Some tokens decode differently at the beginning of a text, so those of the last addition are decoded again.
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
        """Advance to the next marker in the text not yet processed; False if there is none."""
        words = self._words()
        if not words:
            return False
        places = [(place, -len(word), word) for word in words if (place := self._find(word)) >= 0]
        if not places:
            keep = max(map(len, words)) + 1  # a word that waits for its next character, and the quote before
            self._seen = self._seen[-keep:]
            return False
        place, _, word = min(places)
        after = place + len(word)
        if word in (self.format.stop, *self.format.closes):  # a closing tag closes even if nothing opened it
            self.inside, self._closed = False, True
            if self.end_thinking:
                self.cut_before_end = len(self._seen) - after
        elif word in self.format.all_opens:
            self.inside = True
        else:
            self.cut_before_end = len(self._seen) - place
        self._seen = self._seen[after:]
        return True

    def _words(self) -> tuple[str, ...]:
        """The markers that matter here. After the thinking its format's markers are text, except those of channels."""
        if self.inside:
            return tuple(dict.fromkeys((self.format.stop, *self.format.closes)))
        if self._closed and not self.format.channels:
            return self.stop
        return (*self.format.all_opens, self.format.stop, *self.format.closes, *self.stop)

    def _find(self, word: str) -> int:
        """Position of a marker; one between quotes is only mentioned, which the next character shows."""
        while (place := self._seen.find(word)) > 0 and word not in self.stop:
            end = place + len(word)
            if (quote := _QUOTES.get(self._seen[place - 1])) is None or self._seen[end : end + 1] not in ("", quote):
                break
            if end == len(self._seen):
                return -1
            self._seen = f"{self._seen[:place]}\0{self._seen[place + 1 :]}"  # processed; keeps all lengths
        return place


def cut(ids: Sequence[int], characters: int, tokenizer: Any) -> tuple[list[int], str]:
    """Tokens and their text without the last characters. A token that is cut in two is re-encoded."""
    text = str(tokenizer.decode(ids, skip_special_tokens=False))
    kept = text[: len(text) - characters]
    count = len(ids)
    while count and not kept.startswith(before := str(tokenizer.decode(ids[:count], skip_special_tokens=False))):
        count -= 1
    rest = kept[len(before) :] if count else kept
    return [*ids[:count], *(tokenizer.encode(rest, add_special_tokens=False) if rest else [])], kept
