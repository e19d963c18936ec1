"""What a server is sent to complete a prompt, and how its answer becomes a completion: pure functions, no network.

Servers show thinking in three ways: inside of the content with both tags, with the closing tag alone (the template
opened the thought), or in a place of its own. What comes apart stays apart, word for word; else the text of a
completion has its tags when it leaves this file, so that the splitter finds thinking and answer. Thinking without an
answer is never an answer.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lrmctl.engines.openai.responses import UnreadableError, joined, message_of, read_choice, reasoning_of, short
from lrmctl.engines.requests import GenerationRequest
from lrmctl.thinking import ThinkingFormat, default_format, format_of_text, split_text
from lrmctl.types import FinishReason

SEED_BITS = 31
"""Servers take seeds of 32 bits, some of them signed."""
_FINISHED: Mapping[str, FinishReason] = {
    **dict.fromkeys(("stop", "eos", "eos_token", "end_turn", "stop_sequence"), "stop"),
    **dict.fromkeys(("length", "max_tokens", "model_length"), "length"),
}
_NOT_FINISHED = {
    "content_filter": "the server's content filter withheld the completion",
    "tool_calls": "the model called a tool in place of an answer",
    "function_call": "the model called a tool in place of an answer",
    "abort": "the server broke the completion off",
}


@dataclass(frozen=True)
class ServerReply:
    """A server's answer as it came.

    Attributes:
        text: the completion, or the content of the message.
        reasoning: the thinking, where it has a field of its own.
        stopped_by: the stop text that ended it, where the server says so.
        tokens, reasoning_tokens: the server's counts; None where it gives none.
    """

    text: str
    finish_reason: FinishReason
    reasoning: str = ""
    stopped_by: str = ""
    tokens: int | None = None
    reasoning_tokens: int | None = None


def chat_text(messages: Sequence[Mapping[str, str]], template_args: Mapping[str, Any]) -> str:
    """The text of a request that the server renders: what of its body depends on prompt and template, as JSON."""
    body: dict[str, Any] = {"messages": [dict(message) for message in messages]}
    if template_args:
        body["chat_template_kwargs"] = dict(template_args)
    return json.dumps(body, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def body_of(
    model: str,
    api: str,
    request: GenerationRequest,
    extra: Mapping[str, Any],
    special_tags: bool = False,
    form: ThinkingFormat | None = None,
) -> tuple[str, dict[str, Any]]:
    """Path below the base URL, and the JSON body.

    Stop texts are not sent: they would end the thinking.

    Args:
        extra: keys that are put over the body's; None takes a key out.
        special_tags: the think tags are special tokens, which a chat server would leave out of its text.
        form: of the model's thinking, if it is known.
    """
    s = request.sampling
    body: dict[str, Any] = {
        "model": model,
        "temperature": 0 if s.greedy else s.temperature,
        "top_p": s.top_p,
        "max_tokens": s.max_new_tokens,
        "seed": request.row_seed & ((1 << SEED_BITS) - 1),
        "n": 1,
    }
    body |= {"top_k": s.top_k} if s.top_k else {}
    body |= {"min_tokens": s.min_new_tokens} if s.min_new_tokens else {}
    if api == "chat":
        body |= json.loads(request.text)
        body |= {"skip_special_tokens": False} if special_tags else {}
    else:
        body |= {"prompt": request.text, "add_special_tokens": False, "skip_special_tokens": False}
        body |= (
            {"stop": [(form or default_format()).stop], "include_stop_str_in_output": True} if s.end_thinking else {}
        )
    body = {key: value for key, value in {**body, **extra}.items() if value is not None}
    return ("/chat/completions" if api == "chat" else "/completions"), body


def read_answer(api: str, data: bytes) -> ServerReply:
    """What a server answered.

    Raises:
        UnreadableError: that is no completion; the message says why.
    """
    choice, body = read_choice(data)
    finish, usage = _finish(choice), _mapping(body.get("usage"))
    details = _mapping(usage.get("completion_tokens_details"))
    thought = _count(details.get("reasoning_tokens", usage.get("reasoning_tokens")))
    tokens = _count(usage.get("completion_tokens"))
    if api == "chat":
        message = message_of(choice)
        content, reasoning = joined(message.get("content")), reasoning_of(message)
        if not content.strip() and isinstance(message.get("refusal"), str):
            content = message["refusal"]
        answer = ServerReply(content, finish, reasoning, "", tokens, thought)
    else:
        if not isinstance(text := choice.get("text"), str):
            raise UnreadableError(f"the server's answer has no text: {short(choice)}")
        said = choice.get("stop_reason")
        answer = ServerReply(text, finish, "", said if isinstance(said, str) else "", tokens, thought)
    if (
        api == "chat"
        and finish == "stop"
        and not (answer.text.strip() or answer.reasoning)
        and (answer.tokens or 0) > 1
    ):
        raise UnreadableError(f"the server gives no text of the {answer.tokens} tokens that the model wrote")
    return answer


def chat_completion(answer: ServerReply, opened: bool, form: ThinkingFormat | None = None) -> tuple[str, str | None]:
    """The text of a completion, and its thinking where that came apart.

    Args:
        opened: the server's template opens the thought, so that content starts inside of it.
        form: of the model's thinking; None reads it from the text.
    """
    if answer.reasoning.strip():
        return answer.text, answer.reasoning
    opening = (form or format_of_text(answer.text, opened=True)).opening
    if not answer.text.strip():  # all tokens went into thinking that the server does not show
        return opening if answer.finish_reason == "length" else "", None
    begun = closes_only(answer.text, form) or (opened and not opens(answer.text, form))
    return f"{opening}{answer.text}" if begun else answer.text, None


def closes_only(text: str, form: ThinkingFormat | None = None) -> bool:
    """Whether a closing tag comes before any opening one: the template opened the thought."""
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
    """The completion of a rendered prompt, its end-of-text token left out and the tag that ended it put back.

    Args:
        end: the end-of-text token as text; empty for none.
    """
    text = answer.text.removesuffix(end) if end and answer.finish_reason == "stop" else answer.text
    close = (form or default_format()).stop
    return text + close if answer.stopped_by == close and not text.endswith(close) else text


def before_stop(text: str, stops: Sequence[str], inside: bool, form: ThinkingFormat | None = None) -> str | None:
    """What comes before the first stop outside of thinking; None if there is none.

    Args:
        inside: the text begins inside of a thought.
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


def shares(total: int, thinking: str, answer: str) -> tuple[int, int]:
    """Tokens of thinking and answer by their characters, where the server counts both together."""
    characters = len(thinking) + len(answer)
    of_thinking = round(total * len(thinking) / characters) if characters else 0
    return of_thinking, total - of_thinking


def _finish(choice: Mapping[str, Any]) -> FinishReason:
    reason = choice.get("finish_reason")
    if isinstance(reason, str) and reason in _FINISHED:
        return _FINISHED[reason]
    if isinstance(reason, str) and reason in _NOT_FINISHED:
        raise UnreadableError(f"{_NOT_FINISHED[reason]} (finish_reason {reason})")
    raise UnreadableError(f"the server does not say that the completion ended: finish_reason {short(reason)}")


def _mapping(found: object) -> Mapping[str, Any]:
    return found if isinstance(found, dict) else {}


def _count(found: object) -> int | None:
    return found if isinstance(found, int) and not isinstance(found, bool) and found >= 0 else None
