"""A completion as a `Trace`: thinking and answer, told apart by the format in which the model writes its thought.

The formats and the splitter are `lrmctl.thinking`'s; here they meet prompts and finish reasons.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from lrmctl.thinking import (
    UNKNOWN,
    SplitCompletion,
    Thinking,
    ThinkingFormat,
    closes_thinking,
    opens_thinking,
    split_ids,
    split_text,
)
from lrmctl.types import FinishReason, Prompt, Trace

__all__ = [
    "DEFAULT_TAGS",
    "SplitCompletion",
    "ThinkTags",
    "closes_thinking",
    "opens_thinking",
    "split_ids",
    "split_text",
    "trace_from_ids",
    "trace_from_text",
]


class ThinkTags(NamedTuple):
    """The literal text of the two tags of the commonest format."""

    open: str = "<think>"
    close: str = "</think>"


DEFAULT_TAGS = ThinkTags()


def trace_from_text(
    prompt: Prompt,
    text: str,
    *,
    opened: bool,
    finish_reason: FinishReason,
    sample: int = 0,
    count: Callable[[str], int] | None = None,
    format: ThinkingFormat | None = None,
    thinking: Thinking = UNKNOWN,
    closed_before: bool = False,
) -> Trace:
    """A `Trace` from decoded text that still shows its markers.

    Args:
        count: tokens of a text; without it they are not counted.
        format: the markers; those of `thinking` by default, and without both those that the text shows.
        thinking: how the model thinks; says what a completion without a thought is.
        closed_before: the rendered prompt ends with a closed thought (see `closes_thinking`).
    """
    split = split_text(text, opened=opened, count=count, format=format or thinking.format)
    trace = trace_of_split(prompt, split, finish_reason, sample, thinking, closed_before)
    return trace if count is not None else replace(trace, thinking_tokens=None, answer_tokens=None)


def trace_from_ids(
    prompt: Prompt,
    ids: Sequence[int],
    tokenizer: Any,
    *,
    opened: bool,
    finish_reason: FinishReason,
    sample: int = 0,
    format: ThinkingFormat | None = None,
    thinking: Thinking = UNKNOWN,
    closed_before: bool = False,
) -> Trace:
    """A `Trace` from token ids (without the end-of-text token), markers special or not. See `trace_from_text`."""
    split = split_ids(ids, tokenizer, opened=opened, format=format or thinking.format)
    return trace_of_split(prompt, split, finish_reason, sample, thinking, closed_before)


def trace_of_split(
    prompt: Prompt,
    split: SplitCompletion,
    finish_reason: FinishReason,
    sample: int = 0,
    thinking: Thinking = UNKNOWN,
    closed_before: bool = False,
) -> Trace:
    """A `Trace` from a completion taken apart."""
    off = closed_before or thinking.on is False
    if off and split.state == "closed" and split.irregular == ("empty",):
        split = replace(split, state="absent", irregular=())  # the model closes at once what is switched off
    return Trace(
        prompt=prompt,
        thinking=split.thinking,
        answer=split.answer,
        thinking_state=thinking.state(split.state, closed_before=closed_before),
        finish_reason=finish_reason,
        thinking_tokens=split.thinking_tokens,
        answer_tokens=split.answer_tokens,
        sample=sample,
        irregular=split.irregular,
    )
