"""The turns of each decoding mode for one completion.

A mode is a generator: it yields the next request, is sent the model's response, and returns the whole completion. It
knows no engine and no other completion, and never sees a failed turn.
"""

from __future__ import annotations

from collections.abc import Generator
from random import Random

from lrmctl.engines.base import Completion, GenerationRequest
from lrmctl.engines.decoding.partial import PartialCompletion, closing
from lrmctl.recipe.schema.decoding import Budget, MoreThink

Turns = Generator[GenerationRequest, Completion, Completion]


def answered(said: PartialCompletion) -> Turns:
    """The model continues from here to the end."""
    if said.left <= 0:
        return said.whole("length")
    done = yield said.answer()
    said.take(done)
    return said.whole(done.finish_reason)


def within(said: PartialCompletion, how: Budget) -> Turns:
    """The thinking is closed once it has too many tokens; one that ends without its tag is closed too."""
    said.think((yield said.thinking(how.tokens - reserved(said, how))))
    return (yield from _closed_and_answered(said, how.closing))


def reserved(said: PartialCompletion, how: Budget) -> int:
    """Tokens of the budget reserved for what is inserted before the closing tag."""
    return len(said.encode(closing(how.closing, "", said.form).partition(said.form.close)[0]))


def further(said: PartialCompletion, how: MoreThink) -> Turns:
    """The thinking is continued whenever it ends, until rounds or tokens are used up."""
    draw = Random(said.seed)
    for round in range(how.rounds + 1):
        done = yield said.thinking(how.tokens - said.thought - 1)  # 1 for the line break before the tag
        said.think(done)
        words = draw.choice(how.words)
        room = how.tokens - said.thought - len(said.encode(f" {words}")) - 1
        if done.finish_reason == "length" or round == how.rounds or room <= 0 or said.left <= 0:
            break
        said.reopen(words)
    return (yield from _closed_and_answered(said))


def _closed_and_answered(said: PartialCompletion, words: str = "") -> Turns:
    if not said.closed and said.left > 0:  # otherwise cut by `max_new_tokens`, and stays so
        said.close(words)
    return (yield from answered(said))
