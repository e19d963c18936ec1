"""A completion in progress: what the model generated, what was inserted, and what to request next.

Kept as token ids if the engine provides them, since re-encoding generated text may give other tokens; otherwise as text
(servers). Text forced before the completion is part of the request, not of the completion.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from lrmctl.engines.base import Completion, GenerationRequest
from lrmctl.thinking import ThinkingFormat
from lrmctl.types import FinishReason


class PartialCompletion:
    """The text after a request's prompt so far.

    Args:
        asked: the request to complete.
        tokenizer: the model's.
        form: the model's thinking format.
    """

    def __init__(self, asked: GenerationRequest, tokenizer: Any, form: ThinkingFormat) -> None:
        self._asked, self._tokenizer, self.form = asked, tokenizer, form
        self._ids: list[int] = []
        self._text = ""
        self._by_ids = True  # until an engine answers without any
        self._drawn = self._put = self._thought = 0
        self._own: int | None = None
        self.closed = False

    @property
    def left(self) -> int:
        """Number of tokens that may still be generated."""
        return self._asked.sampling.max_new_tokens - self._drawn

    @property
    def thought(self) -> int:
        """Tokens of the thinking, inserted ones included, while thinking is being generated."""
        return self._thought + self._put

    @property
    def seed(self) -> int:
        return self._asked.row_seed

    def encode(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False)
        return ids

    def thinking(self, most: int) -> GenerationRequest:
        """A request for more thinking, up to the closing tag."""
        return self._next(max(0, min(most, self.left)), end_thinking=True, stop=(), min_new_tokens=0)

    def answer(self) -> GenerationRequest:
        """A request for everything that is left."""
        return self._next(self.left, min_new_tokens=max(0, self._asked.sampling.min_new_tokens - self._drawn))

    def think(self, done: Completion) -> None:
        """Add generated thinking."""
        self.take(done)
        tag = next((t for t in (self.form.stop, *self.form.all_closes) if done.text.rstrip().endswith(t)), "")
        self.closed = bool(tag)
        self._thought += max(0, done.count - (len(self.encode(tag)) if tag else 0))
        self._own = self._thought

    def take(self, done: Completion) -> None:
        """Add generated text."""
        if done.text and not done.ids:
            self._by_ids = False
        self._ids += done.ids
        self._drawn += done.count
        self._text = self._decoded(len(self._ids)) if self._by_ids else self._text + done.text

    def put(self, text: str) -> None:
        """Insert text that the model did not generate."""
        known = len(self._ids)
        last = self._tokenizer.decode(self._ids[-1:], skip_special_tokens=False)
        if self._by_ids and last and "\ufffd" not in last:  # a token across the boundary is what the model knows
            self._ids[-1:] = self.encode(last + text)
        else:
            self._ids += self.encode(text)
        self._put += len(self._ids) - known
        self._text += text

    def reopen(self, words: str) -> None:
        """Remove the closing tag of the thinking, and continue with the given words."""
        body = self._text.rstrip()
        for tag in (self.form.stop, *self.form.all_closes):
            body = body.removesuffix(tag).rstrip()
        if self._by_ids:
            kept = len(self._ids)
            while kept and len(self._decoded(kept)) > len(body):
                kept -= 1
            self._ids = [*self._ids[:kept], *self.encode(body[len(self._decoded(kept)) :])]
        self._text, self.closed = body, False
        self.put(words if not body or words[:1].isspace() else f" {words}")

    def close(self, words: str = "") -> None:
        """Insert the given words and the closing tag of the thinking."""
        self.put(closing(words, self._text, self.form))
        self.closed = True

    def whole(self, why: FinishReason) -> Completion:
        """Everything as one completion."""
        ids = tuple(self._ids) if self._by_ids else ()
        drawn = None if len(ids) - self._put == self._drawn else self._drawn
        return Completion(ids, self._text, why, tokens=drawn, thinking_tokens=self._own, inserted=self._put)

    def _next(self, most: int, **changes: Any) -> GenerationRequest:
        asked, sampling = self._asked, replace(self._asked.sampling, max_new_tokens=most, **changes)
        ids = (*self.encode(asked.text), *self._ids) if self._by_ids and self._ids else ()
        return replace(
            asked, text=asked.text + self._text, forced=asked.forced + self._text, sampling=sampling, ids=ids
        )

    def _decoded(self, tokens: int) -> str:
        text: str = self._tokenizer.decode(self._ids[:tokens], skip_special_tokens=False)
        return text


def closing(words: str, after: str, form: ThinkingFormat) -> str:
    """The closing tag for a thought that ends with `after`."""
    if not words:
        return form.closing.lstrip("\n") if after.endswith("\n") else form.closing
    apart = " " if after and not after[-1].isspace() and not words[0].isspace() else ""
    return f"{apart}{words}{form.closing}"


def first_tokens(ids: Sequence[int], count: int, tokenizer: Any) -> str:
    """Text of the first tokens; of fewer if the last one holds only a part of a character."""
    while text := str(tokenizer.decode(ids[:count], skip_special_tokens=False)):
        if not text.endswith("\ufffd"):
            break
        count -= 1
    return text
