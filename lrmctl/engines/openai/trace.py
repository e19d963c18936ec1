"""A served completion as a trace: thinking that came apart stays apart, all else is split by the model's format."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from lrmctl.engines.openai.completions import shares
from lrmctl.engines.requests import Completion, GenerationRequest
from lrmctl.engines.stopping import closed_before, opened_before, starts_inside
from lrmctl.thinking import (
    SplitCompletion,
    Thinking,
    ThinkingFormat,
    default_format,
    format_of_text,
    split_apart,
    split_text,
)
from lrmctl.trace import trace_of_split
from lrmctl.types import Prompt, Trace


def trace_of(
    prompt: Prompt,
    request: GenerationRequest,
    completion: Completion,
    thinking: Thinking,
    tokenizer: Any,
    *,
    rendered: bool,
) -> Trace:
    """See `Engine.trace`.

    Args:
        rendered: the prompt was rendered here, so that it shows whether the thought is open.
    """
    if completion.finish_reason == "error":
        return Trace(prompt, "", "", "absent", "error", sample=request.sample, error=completion.error)
    form = _form(completion, thinking)
    split = _split(request.forced + completion.text, completion, form, rendered and opened_before(request, form))
    if request.forced and not split.thinking:  # the thought that was closed for it was empty, and it may think anew
        own = split_text(completion.text, opened=rendered and starts_inside(request, form), format=form)
        split = own if own.thinking else split
    off = rendered and closed_before(request, thinking)
    trace = trace_of_split(prompt, split, completion.finish_reason, request.sample, thinking, off)
    return _counted(trace, request, completion, form, tokenizer, rendered)


def _form(completion: Completion, thinking: Thinking) -> ThinkingFormat | None:
    """The model's format; think tags for what an earlier version stored, which put them around every thought."""
    known, old = thinking.format, default_format()
    if known is None or known == old or completion.reasoning is not None:
        return known
    return old if completion.text.startswith(old.opening) else known


def _split(text: str, completion: Completion, form: ThinkingFormat | None, opened: bool) -> SplitCompletion:
    if completion.reasoning is not None:
        return split_apart(completion.reasoning, completion.text, format=form)
    return split_text(text, opened=opened, format=form or format_of_text(text, opened=opened))


def _counted(
    trace: Trace,
    request: GenerationRequest,
    completion: Completion,
    form: ThinkingFormat | None,
    tokenizer: Any,
    rendered: bool,
) -> Trace:
    """With the tokens of thinking and answer. What was forced is not counted."""
    count = _counter(tokenizer)
    if completion.reasoning is not None:
        thought, answer = (count(trace.thinking), count(trace.answer)) if count else (0, 0)
        own = SplitCompletion(trace.thinking, trace.answer, "closed", (), thought, answer)
    else:
        inside = rendered and starts_inside(request, form)
        own = split_text(completion.text, opened=inside, format=form, count=count)
    thinking, answer = own.thinking_tokens, own.answer_tokens
    if count is None:
        thinking, answer = shares(completion.count, own.thinking, own.answer)
    if completion.thinking_tokens is not None:
        thinking = completion.thinking_tokens
        answer = answer if count else max(0, completion.count - thinking)
    elif completion.inserted:
        thinking = max(0, thinking - completion.inserted)
    return replace(trace, thinking_tokens=thinking, answer_tokens=answer)


def _counter(tokenizer: Any) -> Callable[[str], int] | None:
    if tokenizer is None:
        return None
    return lambda text: len(tokenizer.encode(text, add_special_tokens=False)) if text else 0
