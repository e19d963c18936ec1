"""Reads conversations in common formats: role and content, `from` and `value`, content parts, separate reasoning.

The result is plain messages of role and text. Images, audio and tool calls are rejected: lrmctl handles only text, and
dropping them would change the conversation.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lrmctl._util.text import is_blank
from lrmctl.rows.located import LocatedRow
from lrmctl.rows.strict_json import NotStrict, parsed
from lrmctl.rows.values import missing, quoted_value

THOUGHTS = ("reasoning_content", "reasoning", "thinking")
"""Keys in which servers and data sets store thinking separately."""
_ROLES = {
    **dict.fromkeys(("user", "human", "prompter", "person"), "user"),
    **dict.fromkeys(("assistant", "gpt", "chatgpt", "bard", "bing", "model", "ai", "bot", "claude"), "assistant"),
    **dict.fromkeys(("system", "developer"), "system"),
}
_TOOLS = ("tool", "function", "observation", "function_call", "tool_call", "tool_response", "ipython")
_TEXT_PARTS = ("text", "input_text", "output_text")
_THOUGHT_PARTS = ("thinking", "reasoning", "reasoning_text")
_TOOL_FIX = "leave out rows with calls of tools: lrmctl reads conversations of text"
_LISTED = re.compile(r"""\s*\[\s*\{\s*['"](role|from)['"]\s*:""")


@dataclass(frozen=True)
class ChatMessage:
    """One message.

    Attributes:
        thought: its thinking, if given separately; else None.
    """

    role: str
    text: str
    thought: str | None = None


def messages_of(row: LocatedRow, column: str) -> list[ChatMessage]:
    """The messages in a column.

    Raises:
        RecipeError: it is not a conversation of texts.
    """
    value = row[column]
    if isinstance(value, str):
        value = _listed(row, column, value)
    if isinstance(value, Mapping):
        value = [value]
    if not isinstance(value, (list, tuple)) or not value:
        raise row.wrong(f"is {quoted_value(value)}, not a list of messages", column, _FIX)
    return [_message(row, column, i, one) for i, one in enumerate(value, 1)]


_FIX = 'write messages as [{"role": "user", "content": "..."}, ...]'


def holds_messages(value: Any) -> bool:
    """Whether a value is a conversation, or a JSON text of one."""
    return isinstance(value, (list, tuple, Mapping)) or (isinstance(value, str) and bool(_LISTED.match(value)))


def _listed(row: LocatedRow, column: str, text: str) -> Any:
    try:
        return parsed(text)
    except NotStrict as error:
        what = f"is the text of a list of messages, and no JSON: it {error}" if _LISTED.match(text) else "is a text"
        raise row.wrong(what, column, _FIX) from None


def _message(row: LocatedRow, column: str, number: int, value: Any) -> ChatMessage:
    if not isinstance(value, Mapping):
        raise row.wrong(
            f"message {number} is {quoted_value(value)}, not an object with a role and a content", column, _FIX
        )
    role = _role(row, column, number, value)
    for key in ("tool_calls", "function_call"):
        if value.get(key):
            raise row.wrong(f"message {number} calls tools", column, _TOOL_FIX)
    content = next((value[key] for key in ("content", "value", "text") if value.get(key) is not None), None)
    apart = _apart(row, column, number, value)
    try:
        text, inside = content_of(content)
    except ValueError as error:
        raise row.wrong(f"the content of message {number} {error}", column, "give each message a text") from None
    if apart is not None and inside is not None and apart.strip() != inside.strip():
        raise row.wrong(f"message {number} has two thoughts", column, "keep the one that belongs to it")
    return ChatMessage(role, text, apart if apart is not None else inside)


def _role(row: LocatedRow, column: str, number: int, value: Mapping[str, Any]) -> str:
    said = value.get("role", value.get("from"))
    if not isinstance(said, str):
        raise row.wrong(f"message {number} has no role", column, _FIX)
    name = said.strip().lower()
    if name in _TOOLS:
        raise row.wrong(f"message {number} is of the role {said!r}", column, _TOOL_FIX)
    if name not in _ROLES:
        fix = "roles are system, user and assistant (or human and gpt)"
        raise row.wrong(f"message {number} has the role {said!r}", column, fix)
    return _ROLES[name]


def _apart(row: LocatedRow, column: str, number: int, value: Mapping[str, Any]) -> str | None:
    """A message's separate thinking; the same text under two keys counts once."""
    found = [value[key] for key in THOUGHTS if not missing(value.get(key))]
    if odd := next((one for one in found if not isinstance(one, str)), None):
        raise row.wrong(f"the thought of message {number} is {quoted_value(odd)}, not a text", column)
    if len({one.strip() for one in found}) > 1:
        raise row.wrong(f"message {number} has two thoughts", column, "keep the one that belongs to it")
    return found[0] if found else None


def content_of(content: Any) -> tuple[str, str | None]:
    """The text of a message's content, and its thinking part if there is one.

    Raises:
        ValueError: it contains something other than text; says what.
    """
    if isinstance(content, str):
        return content, None
    if isinstance(content, Mapping):
        content = [content]
    if not isinstance(content, (list, tuple)):
        raise ValueError(f"is {quoted_value(content)}, not a text")
    texts, thoughts = list[str](), list[str]()
    for part in content:
        kind, text = _part(part)
        (thoughts if kind == "thought" else texts).append(text)
    return "".join(texts), "".join(thoughts) if thoughts else None


def _part(part: Any) -> tuple[str, str]:
    if isinstance(part, str):
        return "text", part
    if not isinstance(part, Mapping):
        raise ValueError(f"has a part that is {quoted_value(part)}, not a text")
    kind = part.get("type", "text")
    if kind in _TEXT_PARTS and isinstance(part.get("text"), str):
        return "text", part["text"]
    if kind in _THOUGHT_PARTS:
        said = next((part[key] for key in (str(kind), "text", "thinking") if part.get(key) is not None), None)
        return "thought", content_of(said)[0]
    raise ValueError(f"has a part of type {kind!r}, and only texts are read")


def same_text(a: str, b: str) -> bool:
    """Whether two texts are equal, ignoring white space at their ends."""
    return a.strip() == b.strip()


def as_json(messages: Sequence[ChatMessage]) -> str:
    """Role and text of each message as JSON, for comparing conversations."""
    return json.dumps([[m.role, m.text] for m in messages], ensure_ascii=False)


def check_conversation(row: LocatedRow, column: str, messages: Sequence[ChatMessage]) -> None:
    """Check that a conversation ends with a non-empty user message and contains no NUL character.

    Raises:
        RecipeError: it does not.
    """
    if not messages or messages[-1].role != "user":
        last = messages[-1].role if messages else "nobody"
        fix = "end the prompt with what the user asks"
        raise row.wrong(f"does not end with the user's message but with {last}'s", column, fix)
    for number, one in enumerate(messages, 1):
        if "\0" in one.text:
            raise row.wrong(f"message {number} holds a NUL character", column, "remove it")
    if is_blank(messages[-1].text):
        raise row.wrong("the prompt is empty: there is nothing in it that can be seen", column, "give it a text")
