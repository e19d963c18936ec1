"""Reads a row as a preference pair: `chosen` and `rejected`, each as texts, an object or messages.

    {"prompt": "...", "chosen": "<think>...</think> answer", "rejected": "..."}
    {"messages": [...], "chosen": {"thinking": "...", "answer": "..."}, "rejected": {...}, "prefix": "..."}
    {"chosen": [{"role": "user", ...}, {"role": "assistant", ...}], "rejected": [...]}

A side that is a conversation may hold the prompt; both sides, and a prompt beside them, must then agree.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from lrmctl.data.pairs.pair import Response
from lrmctl.errors import RecipeError
from lrmctl.rows.located import LocatedRow
from lrmctl.rows.messages import (
    ChatMessage,
    as_json,
    check_conversation,
    holds_messages,
    messages_of,
    same_text,
)
from lrmctl.rows.prompts import CONVERSATIONS, OTHER_NAMES, PromptTurn, asked_of
from lrmctl.rows.responses import ParsedResponse, response_of
from lrmctl.rows.values import missing, quoted_value

SIDES = ("chosen", "rejected")
COLUMNS = (*SIDES, "prefix")
UNCLOSED = "a side whose thinking never ends"
_FIX = "give `chosen` and `rejected`, each a text, {thinking, answer}, or messages that end with the assistant's"

Unfit = Callable[[LocatedRow, ParsedResponse], str]
"""Why a response may not be trained on; raises RecipeError if it cannot be read as one."""


class ParsedPair:
    """A row as a pair.

    Attributes:
        asked: its prompt.
        reason: why it is left out; empty if it is a pair.
    """

    def __init__(self, row: LocatedRow, unfit: Unfit) -> None:
        sides = [_Side(row, name) for name in SIDES]
        self.asked = _asked(row, [side.before for side in sides])
        self.reason = next(filter(None, [side.reason(unfit) for side in sides]), "")
        self.chosen, self.rejected = (Response(side.said.thinking, side.said.answer) for side in sides)
        self.prefix = "" if self.reason else _prefix(row, (self.chosen, self.rejected))


class _Side:
    """One side of a pair.

    Attributes:
        before: the conversation before the response, if the side holds one.
        said: the response.
    """

    def __init__(self, row: LocatedRow, name: str) -> None:
        self._row, self._name = row, name
        self.before, values = self._values(row.get(name))
        self._inner = LocatedRow(values, row.where, row.number)
        try:
            said = response_of(self._inner)
        except RecipeError as error:
            raise row.wrong(error.what, name, error.fix) from None
        if said is None:
            raise row.wrong(f"is {quoted_value(row[name])}: there is no response in it", name, _FIX)
        self.said = said

    def reason(self, unfit: Unfit) -> str:
        """Why the response may not be trained on; empty if it may."""
        if self.said.state == "unclosed":
            return UNCLOSED
        try:
            return unfit(self._inner, self.said)
        except RecipeError as error:
            raise self._row.wrong(error.what, self._name, error.fix) from None

    def _values(self, value: Any) -> tuple[tuple[ChatMessage, ...], dict[str, Any]]:
        """The conversation before the response, and the response as columns of a row of its own."""
        if missing(value):
            raise self._row.wrong(f"there is no {self._name} response", self._name, _FIX)
        if isinstance(value, Mapping) and not {"role", "from"} & set(value):
            return (), dict(value)
        if not holds_messages(value):
            return (), {"response": value}
        messages = messages_of(self._row, self._name)
        said = messages.pop()
        if said.role != "assistant":
            what = f"does not end with the assistant's message but with {said.role}'s"
            raise self._row.wrong(what, self._name, _FIX)
        thought = {} if said.thought is None else {"thinking": said.thought}
        return tuple(messages), {"response": said.text, **thought}


def _asked(row: LocatedRow, before: Sequence[tuple[ChatMessage, ...]]) -> PromptTurn:
    chosen, rejected = before
    if as_json(chosen) != as_json(rejected):
        raise row.wrong("the two sides answer different conversations", "rejected", "give both the same prompt")
    beside = any(not missing(row.get(name)) for name in ("prompt", *CONVERSATIONS, *OTHER_NAMES))
    if chosen:
        check_conversation(row, "chosen", chosen)
        if beside and not same_text(asked_of(row).messages[-1].text, chosen[-1].text):
            raise row.wrong("answers another prompt than the one beside it", "chosen", "keep one of them")
        return PromptTurn(chosen, None, COLUMNS)
    asked = asked_of(row)
    if asked.response is not None:
        fix = "end the conversation with the user's message; the responses are `chosen` and `rejected`"
        raise row.wrong("the prompt ends with a response of its own", asked.columns[0], fix)
    return replace(asked, columns=(*asked.columns, *COLUMNS))


def _prefix(row: LocatedRow, sides: tuple[Response, Response]) -> str:
    value = row.get("prefix")
    if missing(value):
        return ""
    if not isinstance(value, str):
        raise row.wrong(f"is {quoted_value(value)}, not a text", "prefix", "give what both thoughts begin with")
    for name, side in zip(SIDES, sides, strict=True):
        if not side.thinking.startswith(value):
            what = f"the thought of `{name}` does not begin with it"
            raise row.wrong(what, "prefix", "both whole thoughts begin with the prefix, to the last space")
    return value
