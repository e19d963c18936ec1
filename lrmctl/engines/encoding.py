"""Questions as token ids, for engines that have the model's tokenizer. Knows no model and loads nothing.

A question that is too long is an error, never cut: a guard that does not see the end of a response must not call it
safe.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Any

from lrmctl.engines.chat import JudgeQuery
from lrmctl.errors import LrmctlError


@dataclass(frozen=True)
class EncodedQuery:
    """A question as token ids, or why it cannot be put.

    Attributes:
        starts: for each choice the ids of the tokens that it can begin with.
    """

    ask: JudgeQuery
    ids: tuple[int, ...] = ()
    starts: tuple[frozenset[int], ...] = ()
    error: str = ""
    too_long: bool = False


class Encoder:
    """One tokenizer, used by one thread at a time.

    Args:
        max_len: tokens of question and reply that the model has room for.
    """

    def __init__(self, tokenizer: Any, max_len: int) -> None:
        self._tokenizer, self._max_len = tokenizer, max_len
        self._starts: dict[str, frozenset[int]] = {}
        self._lock = Lock()

    def rows(self, asks: Sequence[JudgeQuery]) -> list[EncodedQuery]:
        with self._lock:
            return [self._row(ask) for ask in asks]

    def why_not(self, asks: Sequence[JudgeQuery]) -> str:
        """Why one of these questions cannot be rendered with all that it says; empty if all can be."""
        with self._lock:
            for ask in asks:
                try:
                    _rendered(self._tokenizer, ask)
                except LrmctlError as error:
                    return error.what
        return ""

    def decoded(self, ids: Sequence[Sequence[int]]) -> list[str]:
        """Texts without special tokens."""
        with self._lock:
            return [str(self._tokenizer.decode(some, skip_special_tokens=True)) for some in ids]

    def _row(self, ask: JudgeQuery) -> EncodedQuery:
        try:
            text = _rendered(self._tokenizer, ask)
            ids = tuple(self._tokenizer(text + ask.prefill, add_special_tokens=False)["input_ids"])
            starts = self._starts_of(ask.choices)
        except LrmctlError as error:
            return EncodedQuery(ask, error=error.what)
        room = max(0, self._max_len - (1 if ask.choices else ask.max_new_tokens))
        if not ids:
            return EncodedQuery(ask, error="the question is empty")
        if len(ids) > room:
            what = f"the question has {len(ids)} tokens, and the model has room for {room}"
            return EncodedQuery(ask, error=what, too_long=True)
        return EncodedQuery(ask, ids, starts)

    def _starts_of(self, choices: Sequence[str]) -> tuple[frozenset[int], ...]:
        for choice in choices:
            if choice not in self._starts:
                self._starts[choice] = first_tokens(self._tokenizer, choice)
        found = tuple(self._starts[choice] for choice in choices)
        for i, one in enumerate(found):
            for j, other in enumerate(found[:i]):
                if one & other:
                    raise LrmctlError(f"the first token does not tell {choices[j]!r} from {choices[i]!r}")
        return found


def first_tokens(tokenizer: Any, choice: str) -> frozenset[int]:
    """Ids of the tokens with which a reply of this word can begin: after nothing, after a space, on a new line.

    Tokenizers write `safe`, ` safe` and the `safe` of a new line with up to three different tokens; which of them a
    model says depends on its template, so their probabilities are added up. Blank tokens before the word are skipped:
    a model that says the blank first has to be asked with a `prefill` that ends with it.

    Raises:
        LrmctlError: the tokenizer has no token for it.
    """
    found = set()
    for text in (choice, f" {choice}", f"\n{choice}"):
        ids = tokenizer.encode(text, add_special_tokens=False)
        words = ((i, tokenizer.decode([i]).strip()) for i in ids)
        first = next(((i, word) for i, word in words if word), None)
        if first and choice.startswith(first[1]):
            found.add(first[0])
    if not found:
        raise LrmctlError(f"the tokenizer has no token that {choice!r} begins with")
    return frozenset(found)


def reserved_tokens(tokenizer: Any) -> tuple[str, ...]:
    """The model's control tokens as text."""
    added = tokenizer.added_tokens_decoder.values()
    return tuple(str(token) for token in added if token.special and len(str(token)) > 1)


def _rendered(tokenizer: Any, ask: JudgeQuery) -> str:
    from lrmctl.models.chat import ALL_ROLES, render_chat

    if ask.text or not ask.messages:
        return ask.text
    if not getattr(tokenizer, "chat_template", None):
        raise LrmctlError("the judge's model has no chat template; give its own folder, with all tokenizer files")
    return render_chat(tokenizer, ask.messages, ask.template_args, whole=ALL_ROLES)
