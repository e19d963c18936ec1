"""What an OpenAI-compatible server is sent and how its answer is read: pure functions, no network.

Servers differ in what they leave out and add, and proxies answer in their name. Whatever is not plainly an answer is
an error with the beginning of what came: an empty or broken answer must never look like a verdict.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from lrmctl.engines.chat import JudgeQuery, JudgeReply
from lrmctl.engines.openai.responses import UnreadableError, joined, message_of, read_choice, short

_WORDS_AHEAD = 8
"""Tokens asked for where only the first word counts: blank ones may come before it."""


def request_of(model: str, ask: JudgeQuery, top_logprobs: int, extra: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Path below the base URL, and the JSON body.

    Args:
        extra: keys that are put over the body's; None takes a key out.
    """
    most = _WORDS_AHEAD if ask.choices else ask.max_new_tokens
    body: dict[str, Any] = {"model": model, "temperature": 0, "max_tokens": most}
    if ask.text:
        # vLLM and SGLang would put a second begin-of-text token before a prompt that has its own
        body |= {"prompt": ask.text + ask.prefill, "add_special_tokens": False}
        body |= {"logprobs": top_logprobs} if ask.choices else {}
    else:
        body |= {"messages": [dict(message) for message in ask.messages]}
        body |= {"logprobs": True, "top_logprobs": top_logprobs} if ask.choices else {}
        body |= {"chat_template_kwargs": dict(ask.template_args)} if ask.template_args else {}
    body = {key: value for key, value in {**body, **extra}.items() if value is not None}
    return ("/completions" if ask.text else "/chat/completions"), body


def read_reply(ask: JudgeQuery, data: bytes) -> JudgeReply:
    """The reply in a server's answer; one with `error` if it cannot be read."""
    try:
        choice = _choice(data)
        if ask.choices:
            return JudgeReply(probabilities=_probabilities(ask.choices, _positions(choice)))
        return JudgeReply(_text(choice) if ask.text else _content(choice))
    except UnreadableError as error:
        return JudgeReply(error=str(error))


def _choice(data: bytes) -> dict[str, Any]:
    choice = read_choice(data)[0]
    if choice.get("finish_reason") == "content_filter":
        raise UnreadableError("the server's content filter withheld the answer")
    return choice


def _text(choice: Mapping[str, Any]) -> str:
    if not isinstance(text := choice.get("text"), str):
        raise UnreadableError(f"the server's answer has no text: {short(choice)}")
    if not text.strip():
        raise UnreadableError("the model's answer is empty")
    return text


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
    """Each generated token and the log-probabilities of those that might have stood there."""
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


def _probabilities(choices: Sequence[str], positions: Sequence[tuple[str, Mapping[str, float]]]) -> dict[str, float]:
    """Of each choice that is seen at the first token that is not blank.

    Without the model's tokenizer a token stands for a choice if, blanks aside, it is the choice or its beginning (two
    characters at least) and of no other choice.
    """
    table = next((likely for token, likely in positions if isinstance(token, str) and token.strip()), None)
    if table is None:
        raise UnreadableError(f"the reply begins with {len(positions)} blank tokens")
    found: dict[str, float] = {}
    for token, logprob in table.items():
        owner = _owner(str(token).strip(), choices)
        if owner and isinstance(logprob, (int, float)) and not math.isnan(logprob):
            found[owner] = min(1.0, found.get(owner, 0.0) + math.exp(min(logprob, 0.0)))
    if not found:
        raise UnreadableError(f"none of {', '.join(choices)} is among the {len(table)} likeliest first tokens")
    return found


def _owner(word: str, choices: Sequence[str]) -> str:
    if word in choices:
        return word
    begun = [choice for choice in choices if len(word) > 1 and choice.startswith(word)]
    return begun[0] if len(begun) == 1 else ""
