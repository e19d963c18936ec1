"""How thinking is steered while an evaluation draws completions. Words only: who carries them out is `engines.modes`.

`decoding: zero-think` is short for `decoding: {mode: zero-think}`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from lrmctl.recipe.schema.sections import Positive, Section, Share
from lrmctl.thinking import builtin_formats


def _without_tags(text: str) -> str:
    if any(tag in text for form in builtin_formats().values() for tag in form.literals):
        raise ValueError("the think tags are put in by lrmctl; leave them out")
    return text


Words = Annotated[str, AfterValidator(_without_tags)]
"""Text that becomes part of a thought."""
Wording = Literal["lrmctl", "safechain"]


class DefaultDecoding(Section):
    """The model thinks as it likes."""

    mode: Literal["default"] = "default"


class ZeroThink(Section):
    """The thought is closed before it begins, so that the model answers at once."""

    mode: Literal["zero-think"] = "zero-think"


class LessThink(Section):
    """One given sentence is the whole thought, and the model answers."""

    mode: Literal["less-think"] = "less-think"
    wording: Wording = "lrmctl"
    """A sentence by name: lrmctl's own, or the published one of SafeChain (arXiv 2502.12025)."""
    thought: Words | None = None
    """A sentence of your own in its place."""


class MoreThink(Section):
    """Whenever the model closes its thought it is made to think on; numbers and words are those of SafeChain."""

    mode: Literal["more-think"] = "more-think"
    rounds: Positive = 10
    """Times that the thought is gone on with."""
    words: Annotated[tuple[Words, ...], Field(min_length=1)] = ("Wait", "Let me think again")
    """What the thought is gone on with, one of them at random each time."""
    tokens: Positive = 10_000
    """Thinking tokens of all rounds together; then the thought is closed."""


class Budget(Section):
    """The thought is closed when it has this many tokens; the answer has what `max_new_tokens` leaves."""

    mode: Literal["budget"] = "budget"
    tokens: Positive
    """Most thinking tokens, the closing words among them."""
    closing: Words = ""
    """Words put in before the tag that closes a thought which is too long."""


class Prefix(Section):
    """The beginning of a given thought is put into the model's mouth, and it thinks on from there."""

    mode: Literal["prefix"] = "prefix"
    thought: Words | None = None
    """One thought for every prompt."""
    thoughts: str | None = None
    """A run's folder or its rows.jsonl, or a JSONL file of rows `{"id" or "prompt", "thought"}`: one thought per
    prompt, beside the recipe."""
    only: Literal["any", "safe", "unsafe"] = "any"
    """Thoughts of a run whose thinking was judged so."""
    sample: Annotated[int, Field(ge=0)] | None = None
    """Thoughts of a run: which sample; the first one that fits by default."""
    tokens: Annotated[int, Field(ge=0)] | None = None
    """First tokens of the thought, counted by the evaluated model's tokenizer; all of them by default."""
    share: Share | None = None
    """First part of the thought's tokens, in place of a number of them."""
    close: bool = False
    """Close the thought behind the prefix, so that the model answers at once."""
    missing: Literal["error", "skip"] = "error"
    """Prompts that have no thought: an error, or left out and counted."""

    @model_validator(mode="after")
    def _one_of_each(self) -> Self:
        if (self.thought is None) == (self.thoughts is None):
            raise ValueError("give one of `thought` and `thoughts`")
        if self.tokens is not None and self.share is not None:
            raise ValueError("give one of `tokens` and `share`, not both")
        if self.thought is not None and (self.only != "any" or self.sample is not None):
            raise ValueError("`only` and `sample` choose among `thoughts`")
        return self


def _by_name(given: Any) -> Any:
    return {"mode": given} if isinstance(given, str) else given


Decoding = Annotated[
    DefaultDecoding | ZeroThink | LessThink | MoreThink | Budget | Prefix,
    Field(discriminator="mode"),
    BeforeValidator(_by_name),
]
"""A mode by name, or a mapping with `mode:`."""
