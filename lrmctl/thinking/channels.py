"""Parses completions that consist of messages with channels, as in gpt-oss, with or without their special tokens.

Dropping the special tokens leaves `analysis…assistantfinal…`: headers are then words without spaces between them.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from lrmctl.thinking.formats import ThinkingFormat
from lrmctl.thinking.marks import mentioned


class ChannelMessage(NamedTuple):
    """One message.

    Attributes:
        begins: offset of its header.
        span: offsets of its text.
        call: it is a tool call.
        ended: its end marker is present.
    """

    channel: str
    begins: int
    span: tuple[int, int]
    call: bool = False
    ended: bool = False


def messages_of(text: str, form: ThinkingFormat, *, opened: bool = False, guess: bool = False) -> list[ChannelMessage]:
    """The messages of a completion; empty if it has no header.

    Args:
        opened: the text begins inside a thinking message.
        guess: the model may not use this format, so a single word does not count as a header.
    """
    assert form.channels is not None
    kept = form.channels.channel in text or form.channels.message in text
    heads = list(_header(form, kept, guess).finditer(text))
    if guess and not (heads and not text[: heads[0].start()].strip() and (kept or heads[0]["lone"])):
        return []
    found: list[ChannelMessage] = []
    if opened:
        found.append(ChannelMessage(form.channels.thinking[0], 0, (0, 0)))
    final = False
    for head in heads:
        if final or (found and mentioned(text, head.start(), head.end())):
            continue
        channel = head.groupdict().get("lone") or head["channel"]
        call = "to=" in head[0] and channel not in form.channels.answer
        found.append(ChannelMessage(channel, head.start(), (head.end(), head.end()), call))
        final = channel in form.channels.answer
    return [_with_end(text, form, found, i) for i in range(len(found))]


def _with_end(text: str, form: ThinkingFormat, found: list[ChannelMessage], i: int) -> ChannelMessage:
    """Extend a message to its end marker or the next header; the answer extends to the end of the text."""
    assert form.channels is not None
    message = found[i]
    start = message.span[0]
    if message.channel in form.channels.answer:
        return message._replace(span=(start, len(text)), ended=True)
    limit = found[i + 1].begins if i + 1 < len(found) else len(text)
    places = [p for end in form.channels.ends if (p := text.find(end, start, limit)) >= 0]
    end = min(places, default=limit)
    return message._replace(span=(start, end), ended=bool(places) or i + 1 < len(found))


@lru_cache
def _header(form: ThinkingFormat, kept: bool, guess: bool) -> re.Pattern[str]:
    c = form.channels
    assert c is not None
    names = "|".join(map(re.escape, (*c.thinking, *c.answer, *c.visible)))
    if kept:
        before = f"(?:(?:{re.escape(c.start)})?{re.escape(c.role)})?"
        return re.compile(
            rf"{before}[^\S\n]*(?:to=[^\s<]+)?{re.escape(c.channel)}(?P<channel>{names})\b[^<\n]*"
            rf"(?:<\|constrain\|>[^<\n]*)?{re.escape(c.message)}"
        )
    first = "|".join(map(re.escape, c.thinking if guess else (*c.thinking, *c.answer, *c.visible)))
    role = re.escape(c.role)
    word = r"(?=[^\Wa-z_]|[\"'\u201c\u2018(*$\\])"  # "analysisThe user", not "analysis of" or "analysis: yes"
    sure = "|".join(role + re.escape(name) for name in c.answer)
    lone = rf"\A\s*(?:{role})?(?P<lone>{first})(?:{word}|(?=\w[\s\S]*?(?:{sure}))|[^\S\n]to=\S+(?: json)?)"
    return re.compile(rf"{lone}|{role}(?P<channel>{names})(?:[^\S\n]to=\S+(?: json)?)?")
