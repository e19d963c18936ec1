"""What every answer in OpenAI's form has in common: errors told inside, choices, messages. Pure functions.

Servers differ in what they leave out and add, and proxies answer in their name. Whatever is not plainly an answer is
an error with the beginning of what came.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from lrmctl._util.text import whole_json

_SHOWN = 160  # characters of an answer that cannot be read


class UnreadableError(ValueError):
    """An answer that is none; the message says why."""


def told_error(data: bytes) -> tuple[str, int]:
    """The server's own words of what is wrong, and the status that it names inside; empty and 0 if there are none."""
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
    """The thinking of a message that has a place of its own there, word for word; empty if there is none.

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
    """The text of a thought, which may be a text, a part that holds one, or a list of parts."""
    if isinstance(found, str):
        return found
    if isinstance(found, list):
        return "".join(map(_text_of, found))
    if isinstance(found, dict):
        return next((text for name in _INSIDE if (text := _text_of(found.get(name)))), "")
    return ""


def joined(content: object) -> str:
    """The text of a message's content, which may be null or come in parts, as in OpenAI's newer form.

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
    """The beginning of whatever came, on one line."""
    text = found.decode("utf-8", "replace") if isinstance(found, bytes) else str(found)
    text = " ".join(text.split())
    return repr(text[:_SHOWN] + ("..." if len(text) > _SHOWN else ""))
