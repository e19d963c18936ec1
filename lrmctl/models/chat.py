"""Renders conversations with a model's chat template, in the content form it expects, completely, and within bounds.

The only place where templates are applied, for evaluated and trained models and for judges. Some templates take a
message's content as text, others as a list of parts; the wrong form is often rendered without an error but without the
text. So the form is detected by rendering unique marks, and the result must contain the messages. Loads nothing.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import chain, combinations
from typing import Any

from lrmctl.errors import LrmctlError
from lrmctl.models.template_bounds import bounded, check_bounds, longest

Message = Mapping[str, Any]
ALL_ROLES = ("system", "user", "assistant")
ASKED_ROLES = ("system", "user")
"""Roles that must be rendered completely. Not the assistant, because templates strip thinking from past turns."""

_MARK = "qz7391mark{}zq"
_KNOWN: dict[tuple[str, ...], frozenset[str]] = {}
_MOST_KNOWN = 256


def render_chat(
    tokenizer: Any,
    messages: Sequence[Message],
    template_args: Mapping[str, Any] | None = None,
    *,
    generate: bool = True,
    whole: Collection[str] = ASKED_ROLES,
) -> str:
    """Render a conversation as the text that the model reads.

    Args:
        template_args: keyword arguments of the template, e.g. `enable_thinking`.
        generate: end the text where the model's reply begins.
        whole: roles whose messages must appear in the text.

    Raises:
        LrmctlError: there is no template, it fails or exceeds its bounds, or it drops a message.
    """
    if not getattr(tokenizer, "chat_template", None):
        raise LrmctlError(
            "the tokenizer has no chat template",
            where=str(getattr(tokenizer, "name_or_path", "")),
            fix="use a chat model, or save the template as chat_template.jinja beside tokenizer.json",
        )
    given = {"tokenize": False, "add_generation_prompt": generate, **(template_args or {})}
    check_bounds(tokenizer, given)
    listed = _roles_of_lists(tokenizer, messages, given)
    text = _applied(tokenizer, _with_lists(messages, listed), given)
    for message in messages:
        if message["role"] in whole and not is_in(message["content"], text):
            raise LrmctlError(
                f"the chat template leaves out the {message['role']}'s message {_short(message['content'])!r}",
                where=str(getattr(tokenizer, "name_or_path", "")),
                fix="correct chat_template.jinja of the model, or leave out messages that it does not take",
            )
    return text


def is_in(content: Any, rendered: str) -> bool:
    """Whether a message was rendered, ignoring white space, which templates trim; some write JSON."""
    texts = [content] if isinstance(content, str) else [str(part.get("text", "")) for part in content or ()]
    found = _squashed(rendered)
    return all(_squashed(text) in found or _squashed(json.dumps(text)[1:-1]) in found for text in texts)


def _squashed(text: str) -> str:
    return "".join(text.split())


def _short(content: Any) -> str:
    text = " ".join(str(content).split())
    return text if len(text) <= 60 else f"{text[:57]}..."


def _roles_of_lists(tokenizer: Any, messages: Sequence[Message], given: Mapping[str, Any]) -> frozenset[str]:
    """The roles whose content the template expects as a list of parts."""
    roles = [str(message["role"]) for message in messages]
    key = (str(tokenizer.chat_template), repr(sorted(given.items(), key=str)), *roles)
    if key not in _KNOWN:
        if len(_KNOWN) >= _MOST_KNOWN:
            _KNOWN.clear()
        _KNOWN[key] = _found_roles(tokenizer, roles, given)
    return _KNOWN[key]


def _found_roles(tokenizer: Any, roles: Sequence[str], given: Mapping[str, Any]) -> frozenset[str]:
    marks = [{"role": role, "content": _MARK.format(i)} for i, role in enumerate(roles)]
    for listed in _choices([role for role in ALL_ROLES if role in roles]):
        try:
            text = _applied(tokenizer, _with_lists(marks, listed), given)
        except LrmctlError:
            continue
        if all(mark["content"] in text for mark in marks) and "'type': 'text'" not in text and '"type": "t' not in text:
            return listed
    return frozenset()  # rendering the actual messages reports the error


def _choices(roles: Sequence[str]) -> Iterator[frozenset[str]]:
    """Candidate sets of roles with list content: none, all, some."""
    some = chain.from_iterable(combinations(roles, n) for n in range(1, len(roles)))
    return map(frozenset, ((), tuple(roles), *some))


def _with_lists(messages: Sequence[Message], listed: Collection[str]) -> list[dict[str, Any]]:
    return [
        {**message, "content": [{"type": "text", "text": message["content"]}]}
        if message["role"] in listed and isinstance(message["content"], str)
        else dict(message)
        for message in messages
    ]


def _applied(tokenizer: Any, messages: list[dict[str, Any]], given: Mapping[str, Any]) -> str:
    """Apply the template.

    Raises:
        LrmctlError: it fails or exceeds its bounds.
    """
    said = sum(len(str(message["content"])) for message in messages)
    try:
        with bounded():
            text = str(tokenizer.apply_chat_template(messages, **given))
    except Exception as error:  # templates are third-party code: jinja's errors and any other
        reason = error.what if isinstance(error, LrmctlError) else str(error) or type(error).__name__
        raise LrmctlError(
            f"the chat template cannot render {_short(messages[-1]['content'])!r}: {reason}",
            where=str(getattr(tokenizer, "name_or_path", "")),
            fix="correct chat_template.jinja of the model, or leave out messages that it does not take",
        ) from error
    if len(text) > longest(said):
        raise LrmctlError(
            f"the chat template makes {len(text):,} characters of {said:,}",
            where=str(getattr(tokenizer, "name_or_path", "")),
            fix="correct chat_template.jinja of the model",
        )
    return text
