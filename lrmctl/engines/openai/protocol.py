"""The wire format of OpenAI-compatible servers: builds request bodies and parses answers. No network.

Servers differ in what they omit and add, and proxies answer in their name. Anything that is not clearly an answer is an
error that quotes its beginning: an empty or broken answer must never look like a completion or a verdict.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lrmctl._util.text import whole_json
from lrmctl.engines.base import GenerationRequest
from lrmctl.thinking import ThinkingFormat, default_format
from lrmctl.types import FinishReason

SEED_BITS = 31
"""Servers take seeds of 32 bits, some of them signed."""
_FIRST_TOKENS = 8
"""Tokens requested where only the first word counts, since blank ones may come before it."""
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


_SHOWN = 160  # characters quoted of an unreadable answer


class UnreadableError(ValueError):
    """An answer that cannot be parsed; the message says why."""


@dataclass(frozen=True)
class ServerReply:
    """A parsed answer of a server.

    Attributes:
        text: the completion, or the content of the message.
        reasoning: the thinking, if it has its own field.
        stopped_by: the stop text that ended it, if the server reports it.
        tokens, reasoning_tokens: the server's counts; None if it gives none.
    """

    text: str
    finish_reason: FinishReason
    reasoning: str = ""
    stopped_by: str = ""
    tokens: int | None = None
    reasoning_tokens: int | None = None


def chat_text(messages: Sequence[Mapping[str, str]], template_args: Mapping[str, Any]) -> str:
    """The text of a request that the server renders: the fields that depend on prompt and template, as JSON."""
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
        extra: keys that override the body's; None removes a key.
        special_tags: the think tags are special tokens, which a chat server would omit from its text.
        form: the model's thinking format, if known.
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


def question_body(
    model: str, request: GenerationRequest, extra: Mapping[str, Any], logprobs: int = 0
) -> tuple[str, dict[str, Any]]:
    """Path below the base URL, and the JSON body, of a judge's question, with the required fields only.

    Args:
        extra: keys that override the body's; None removes a key.
        logprobs: number of first tokens whose probability is requested; 0 requests text.
    """
    most = _FIRST_TOKENS if logprobs else request.sampling.max_new_tokens
    body: dict[str, Any] = {"model": model, "temperature": 0, "max_tokens": most}
    if request.plain:
        # vLLM and SGLang would add a second begin-of-text token to a prompt that has its own
        body |= {"prompt": request.text, "add_special_tokens": False}
        body |= {"logprobs": logprobs} if logprobs else {}
    else:
        body |= json.loads(request.text)
        body |= {"logprobs": True, "top_logprobs": logprobs} if logprobs else {}
    body = {key: value for key, value in {**body, **extra}.items() if value is not None}
    return ("/completions" if request.plain else "/chat/completions"), body


def read_answer(api: str, data: bytes) -> ServerReply:
    """Parse a server's answer.

    Raises:
        UnreadableError: it is not a completion; the message says why.
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


def read_reply(plain: bool, data: bytes) -> str:
    """The text of the reply to a question, never blank; separate thinking is left out.

    Raises:
        UnreadableError: there is none; the message says why.
    """
    choice = _unfiltered(data)
    if not plain:
        return _content(choice)
    if not isinstance(text := choice.get("text"), str):
        raise UnreadableError(f"the server's answer has no text: {short(choice)}")
    if not text.strip():
        raise UnreadableError("the model's answer is empty")
    return text


def read_first_token(words: Sequence[str], data: bytes) -> dict[str, float]:
    """For each word seen, the probability that the first non-blank token begins it.

    Without the model's tokenizer a token stands for a word if, apart from blanks, it is the word or its beginning (at
    least two characters) and of no other word.

    Raises:
        UnreadableError: there are no probabilities, or none for these words.
    """
    positions = _positions(_unfiltered(data))
    table = next((likely for token, likely in positions if isinstance(token, str) and token.strip()), None)
    if table is None:
        raise UnreadableError(f"the reply begins with {len(positions)} blank tokens")
    found: dict[str, float] = {}
    for token, logprob in table.items():
        owner = _owner(str(token).strip(), words)
        if owner and isinstance(logprob, (int, float)) and not math.isnan(logprob):
            found[owner] = min(1.0, found.get(owner, 0.0) + math.exp(min(logprob, 0.0)))
    if not found:
        raise UnreadableError(f"none of {', '.join(words)} is among the {len(table)} likeliest first tokens")
    return found


def told_error(data: bytes) -> tuple[str, int]:
    """The server's own error message, and the status inside it; empty and 0 if there are none."""
    try:
        body = json.loads(data)
    except (ValueError, RecursionError):
        return "", 0
    error = body.get("error", body.get("message", body.get("detail"))) if isinstance(body, dict) else None
    if not error:
        return "", 0
    if not isinstance(error, dict):
        return short(error), 0
    code = error.get("code")
    return short(error.get("message", error)), code if isinstance(code, int) else 0


def read_choice(data: bytes) -> tuple[dict[str, Any], dict[str, Any]]:
    """The first choice of an answer, and the whole answer.

    Raises:
        UnreadableError: there is none.
    """
    try:
        body = whole_json(json.loads(data))
    except (ValueError, RecursionError):
        raise UnreadableError(f"the server answered something else than JSON: {short(data)}") from None
    if words := told_error(data)[0]:
        raise UnreadableError(f"the server answered with an error: {words}")
    choices = body.get("choices") if isinstance(body, dict) else None
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        raise UnreadableError(f"the server's answer has no choices: {short(data)}")
    return choices[0], body


def message_of(choice: Mapping[str, Any]) -> dict[str, Any]:
    """The message of a chat choice.

    Raises:
        UnreadableError: there is none.
    """
    message = choice.get("message")
    if not isinstance(message, dict):
        raise UnreadableError(f"the server's answer has no message: {short(choice)}")
    return message


_THOUGHT_PARTS = ("thinking", "reasoning", "reasoning_content", "thought")
_THOUGHT_FIELDS = ("reasoning_content", "reasoning", "thinking", "reasoning_details", "thinking_blocks")
_INSIDE = ("text", "thinking", "reasoning", "summary", "content")


def reasoning_of(message: Mapping[str, Any]) -> str:
    """The thinking in a separate field of a message, verbatim; empty if there is none.

    Servers send it as `reasoning_content` (DeepSeek, SGLang, older vLLM), `reasoning` (vLLM, OpenRouter), `thinking`
    (Ollama), `reasoning_details` (OpenRouter), or as parts of the content (Mistral, Anthropic).
    """
    for name in _THOUGHT_FIELDS:
        if (text := _text_of(message.get(name))).strip():
            return text
    content = message.get("content")
    parts = content if isinstance(content, list) else []
    return "".join(_text_of(p) for p in parts if isinstance(p, dict) and p.get("type") in _THOUGHT_PARTS)


def _text_of(found: object) -> str:
    """The text of a thinking field, which may be a string, a part that holds one, or a list of parts."""
    if isinstance(found, str):
        return found
    if isinstance(found, list):
        return "".join(map(_text_of, found))
    if isinstance(found, dict):
        return next((text for name in _INSIDE if (text := _text_of(found.get(name)))), "")
    return ""


def joined(content: object) -> str:
    """The text of a message's content, which may be null or a list of parts, as in OpenAI's newer format.

    Raises:
        UnreadableError: it is neither.
    """
    if isinstance(content, list):
        parts = (p for p in content if isinstance(p, dict) and p.get("type") in ("text", "output_text"))
        content = "".join(str(p.get("text") or "") for p in parts)
    if content is not None and not isinstance(content, str):
        raise UnreadableError(f"the content of the server's answer is no text: {short(content)}")
    return content or ""


def short(found: object) -> str:
    """The beginning of an answer, on one line."""
    text = found.decode("utf-8", "replace") if isinstance(found, bytes) else str(found)
    text = " ".join(text.split())
    return repr(text[:_SHOWN] + ("..." if len(text) > _SHOWN else ""))


def _unfiltered(data: bytes) -> dict[str, Any]:
    choice = read_choice(data)[0]
    if choice.get("finish_reason") == "content_filter":
        raise UnreadableError("the server's content filter withheld the answer")
    return choice


def _content(choice: Mapping[str, Any]) -> str:
    message = message_of(choice)
    content = joined(message.get("content"))
    if content.strip():
        return content
    raise UnreadableError(_why_empty(choice, message))


def _why_empty(choice: Mapping[str, Any], message: Mapping[str, Any]) -> str:
    if message.get("reasoning_content") or message.get("reasoning"):
        return "the model's answer is empty, all tokens went into its reasoning: allow more, or switch reasoning off"
    if refusal := message.get("refusal"):
        return f"the model refused to judge: {short(refusal)}"
    return f"the model's answer is empty (finish_reason {choice.get('finish_reason')!r})"


def _positions(choice: Mapping[str, Any]) -> list[tuple[str, dict[str, float]]]:
    """Each generated token with the log-probabilities of its alternatives."""
    found = choice.get("logprobs")
    if not isinstance(found, dict):
        raise UnreadableError("the server gave no token probabilities; it has to support `logprobs`")
    try:
        if isinstance(found.get("content"), list):
            return [(at["token"], {at["token"]: at["logprob"], **_listed(at)}) for at in found["content"]]
        tables = zip(found["tokens"], found["token_logprobs"], found["top_logprobs"], strict=True)
        return [(token, {token: logprob, **(table or {})}) for token, logprob, table in tables]
    except (KeyError, TypeError, ValueError):
        raise UnreadableError(f"the token probabilities cannot be read: {short(found)}") from None


def _listed(at: Mapping[str, Any]) -> dict[str, float]:
    return {one["token"]: one["logprob"] for one in at.get("top_logprobs") or []}


def _owner(word: str, words: Sequence[str]) -> str:
    if word in words:
        return word
    begun = [other for other in words if len(word) > 1 and other.startswith(word)]
    return begun[0] if len(begun) == 1 else ""


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
