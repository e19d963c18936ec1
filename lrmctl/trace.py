"""Builds a `Trace` from a completion, split into thinking and answer by the model's thinking format.

The formats and the splitter live in `lrmctl.thinking`; this module adds the prompt and the finish reason.
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
    "GIVEN_THOUGHT",
    "SplitCompletion",
    "ThinkTags",
    "closes_thinking",
    "opens_thinking",
    "split_ids",
    "split_text",
    "trace_from_ids",
    "trace_from_text",
    "written_thinking",
]


GIVEN_THOUGHT = "given_thought"
"""Key of a prompt's `meta`: the beginning of the thinking, where the model did not write it."""


def written_thinking(trace: Trace) -> str:
    """The thinking that the model wrote itself: without the given beginning, if there is one."""
    given = trace.prompt.meta.get(GIVEN_THOUGHT)
    if not isinstance(given, str) or not given:
        return trace.thinking
    if trace.thinking.startswith(given):
        return trace.thinking[len(given) :]
    return "" if trace.thinking == given.strip() else trace.thinking


class ThinkTags(NamedTuple):
    """The opening and closing tag of the most common format."""

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
    """A `Trace` from decoded text that still contains its thinking markers.

    Args:
        count: returns the number of tokens in a text; without it, token counts are None.
        format: the markers; by default those of `thinking`, or failing that those found in the text.
        thinking: how the model thinks; determines the thinking state of a completion without thinking.
        closed_before: the rendered prompt ends with closed thinking (see `closes_thinking`).
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
    """As `trace_from_text`, from token ids without end-of-text; markers may or may not be special tokens."""
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
    """A `Trace` from an already split completion."""
    off = closed_before or thinking.on is False
    if off and split.state == "closed" and split.irregular == ("empty",):
        split = replace(split, state="absent", irregular=())  # with thinking off, a model may emit an empty block
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
