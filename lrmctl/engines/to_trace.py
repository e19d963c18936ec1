"""Converts a completion's token ids to a trace that includes forced text but counts only generated tokens."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from lrmctl.engines.base import Completion, GenerationRequest
from lrmctl.engines.stopping import closed_before, opened_before, starts_inside
from lrmctl.thinking import UNKNOWN, Thinking
from lrmctl.trace import split_ids, trace_from_ids, trace_of_split
from lrmctl.types import Prompt, Trace


def trace_of(
    prompt: Prompt, request: GenerationRequest, completion: Completion, tokenizer: Any, thinking: Thinking = UNKNOWN
) -> Trace:
    """Thinking and answer of a completion, including the forced text before it.

    Tokens inserted by a decoding mode are subtracted from the thinking, where modes insert them, unless the completion
    itself says how many the thinking has. A failed completion has no parts.
    """
    if completion.finish_reason == "error":
        return Trace(prompt, "", "", "absent", "error", sample=request.sample, error=completion.error)
    before = tokenizer.encode(request.forced, add_special_tokens=False) if request.forced else []
    trace = trace_from_ids(
        prompt,
        [*before, *completion.ids],
        tokenizer,
        opened=opened_before(request, thinking.format),
        thinking=thinking,
        closed_before=closed_before(request, thinking),
        finish_reason=completion.finish_reason,
        sample=request.sample,
    )
    if before:
        own = split_ids(
            completion.ids, tokenizer, opened=starts_inside(request, thinking.format), format=thinking.format
        )
        if own.thinking and not trace.thinking:  # the thinking closed for it was empty, and it thought anew
            trace = trace_of_split(prompt, own, completion.finish_reason, request.sample)
        trace = replace(trace, thinking_tokens=own.thinking_tokens, answer_tokens=own.answer_tokens)
    if completion.thinking_tokens is not None:
        return replace(trace, thinking_tokens=completion.thinking_tokens)
    if completion.inserted and trace.thinking_tokens is not None:
        return replace(trace, thinking_tokens=max(0, trace.thinking_tokens - completion.inserted))
    return trace
