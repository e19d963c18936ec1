"""Schema of how an evaluation controls thinking during generation; implemented in `engines.decoding`.

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
"""Text inserted into the thinking."""
Wording = Literal["lrmctl", "safechain"]


class DefaultDecoding(Section):
    """Unmodified thinking."""

    mode: Literal["default"] = "default"


class ZeroThink(Section):
    """Thinking is closed before it begins, so that the model answers at once."""

    mode: Literal["zero-think"] = "zero-think"


class LessThink(Section):
    """One fixed sentence is the whole thinking; then the model answers."""

    mode: Literal["less-think"] = "less-think"
    wording: Wording = "lrmctl"
    """Which sentence: lrmctl's own, or the published one of SafeChain (arXiv 2502.12025)."""
    thought: Words | None = None
    """Your own sentence instead."""


class MoreThink(Section):
    """Whenever the model closes its thinking it is made to continue; defaults are those of SafeChain."""

    mode: Literal["more-think"] = "more-think"
    rounds: Positive = 10
    """How often thinking is extended."""
    words: Annotated[tuple[Words, ...], Field(min_length=1)] = ("Wait", "Let me think again")
    """Text that extends the thinking, one of them at random each time."""
    tokens: Positive = 10_000
    """Thinking tokens of all rounds together, after which thinking is closed."""


class Budget(Section):
    """Thinking is closed after this many tokens; the answer gets the rest of `max_new_tokens`."""

    mode: Literal["budget"] = "budget"
    tokens: Positive
    """Most thinking tokens, including the closing text."""
    closing: Words = ""
    """Text inserted before the closing tag when the budget is exceeded."""


class Prefix(Section):
    """Thinking is prefilled with the beginning of given text, and the model continues from there."""

    mode: Literal["prefix"] = "prefix"
    thought: Words | None = None
    """One text for every prompt."""
    thoughts: str | None = None
    """One text per prompt: a run's folder or its rows.jsonl, or a JSONL file of rows `{"id" or "prompt", "thought"}`;
    relative to the recipe."""
    only: Literal["any", "safe", "unsafe"] = "any"
    """From a run: only thinking with this verdict."""
    sample: Annotated[int, Field(ge=0)] | None = None
    """From a run: index of the sample; by default the first that qualifies."""
    tokens: Annotated[int, Field(ge=0)] | None = None
    """Length of the prefix in tokens of the evaluated model; the whole text by default."""
    share: Share | None = None
    """Length of the prefix as a share of the text's tokens, instead of `tokens`."""
    close: bool = False
    """Close the thinking after the prefix, so that the model answers at once."""
    missing: Literal["error", "skip"] = "error"
    """Prompts without a text: raise an error, or skip and count them."""

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


_Mode = Annotated[DefaultDecoding | ZeroThink | LessThink | MoreThink | Budget | Prefix, Field(discriminator="mode")]
_ByName = Literal["default", "zero-think", "less-think", "more-think"]
"""Modes that need no further key."""
Decoding = Annotated[
    _Mode,
    BeforeValidator(_by_name, json_schema_input_type=_ByName | _Mode),
]
"""A mode by name, or a mapping with `mode:`."""
