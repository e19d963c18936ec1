"""Converts a server's answer to a completion and a trace: pure functions, no network.

Servers return thinking in three ways: in the content with both tags, with the closing tag alone (the template opened
the thinking), or in a separate field. Separate thinking stays separate, verbatim; otherwise the text of a completion
has its tags when it leaves this module, so that the splitter finds thinking and answer. Thinking without an answer is
never taken as an answer.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from lrmctl.engines.base import Completion, GenerationRequest
from lrmctl.engines.openai.protocol import ServerReply
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


def chat_completion(answer: ServerReply, opened: bool, form: ThinkingFormat | None = None) -> tuple[str, str | None]:
    """The text of a completion, and its thinking if that is separate.

    Args:
        opened: the server's template opens the thinking, so that content starts inside it.
        form: the model's thinking format; None detects it in the text.
    """
    if answer.reasoning.strip():
        return answer.text, answer.reasoning
    opening = (form or format_of_text(answer.text, opened=True)).opening
    if not answer.text.strip():  # all tokens went into thinking that the server does not return
        return opening if answer.finish_reason == "length" else "", None
    begun = closes_only(answer.text, form) or (opened and not opens(answer.text, form))
    return f"{opening}{answer.text}" if begun else answer.text, None


def closes_only(text: str, form: ThinkingFormat | None = None) -> bool:
    """Whether a closing tag comes before any opening one, i.e. the template opened the thinking."""
    form = form or format_of_text(text)
    if form.channels or form.prose or opens(text, form):
        return False
    split = split_text(text, opened=False, format=form)
    return split.state == "closed" and "stray" in split.irregular and text.lstrip().startswith(split.thinking)


def opens(text: str, form: ThinkingFormat | None = None) -> bool:
    """Whether the text begins with an opening tag."""
    form = form or format_of_text(text)
    if form.channels:
        return split_text(text, opened=False, format=form).state in ("closed", "unclosed")
    return text.lstrip().startswith(form.all_opens)


def plain_completion(answer: ServerReply, end: str, form: ThinkingFormat | None = None) -> str:
    """The completion of a rendered prompt, without its end-of-text token and with the closing tag that stopped it.

    Args:
        end: the end-of-text token as text; empty for none.
    """
    text = answer.text.removesuffix(end) if end and answer.finish_reason == "stop" else answer.text
    close = (form or default_format()).stop
    return text + close if answer.stopped_by == close and not text.endswith(close) else text


def before_stop(text: str, stops: Sequence[str], inside: bool, form: ThinkingFormat | None = None) -> str | None:
    """The text before the first stop outside thinking; None if there is none.

    Args:
        inside: the text begins inside thinking.
    """
    if not any(stops):
        return None
    form = form or format_of_text(text, opened=inside)
    opens_at, closes_at = form.all_opens, (form.stop, *form.all_closes)
    closed = False
    words = "|".join(re.escape(word) for word in (*opens_at, *closes_at, *stops) if word)
    for found in re.finditer(words, text):
        if inside:
            inside, closed = found[0] not in closes_at, found[0] in closes_at
        elif found[0] in opens_at and not (closed and not form.channels):
            inside = True
        elif found[0] in stops:
            return text[: found.start()]
    return None


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
        rendered: the prompt was rendered here, so that it shows whether the thinking is open.
    """
    if completion.finish_reason == "error":
        return Trace(prompt, "", "", "absent", "error", sample=request.sample, error=completion.error)
    form = _form(completion, thinking)
    split = _split(request.forced + completion.text, completion, form, rendered and opened_before(request, form))
    if request.forced and not split.thinking:  # the thinking closed for it was empty, and it may think anew
        own = split_text(completion.text, opened=rendered and starts_inside(request, form), format=form)
        split = own if own.thinking else split
    off = rendered and closed_before(request, thinking)
    trace = trace_of_split(prompt, split, completion.finish_reason, request.sample, thinking, off)
    return _counted(trace, request, completion, form, tokenizer, rendered)


def _form(completion: Completion, thinking: Thinking) -> ThinkingFormat | None:
    """The model's format; think tags for completions stored by earlier versions, which put them around all thinking."""
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
    """The trace with token counts of thinking and answer, forced text excluded."""
    count = _counter(tokenizer)
    if completion.reasoning is not None:
        thought, answer = (count(trace.thinking), count(trace.answer)) if count else (0, 0)
        own = SplitCompletion(trace.thinking, trace.answer, "closed", (), thought, answer)
    else:
        inside = rendered and starts_inside(request, form)
        own = split_text(completion.text, opened=inside, format=form, count=count)
    thinking, answer = own.thinking_tokens, own.answer_tokens
    if count is None:
        thinking, answer = _shares(completion.count, own.thinking, own.answer)
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


def _shares(total: int, thinking: str, answer: str) -> tuple[int, int]:
    """Tokens of thinking and answer in proportion to their characters, if the server counts both together."""
    characters = len(thinking) + len(answer)
    of_thinking = round(total * len(thinking) / characters) if characters else 0
    return of_thinking, total - of_thinking
