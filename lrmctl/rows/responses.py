"""Reads a row's response: thinking and answer, in one text with tags or separate, and the thinking state.

A state given by the row is kept. Contradictions (two thinking texts, an answer after unclosed thinking) are errors,
because either interpretation would be a guess.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, get_args

from lrmctl._util.text import is_blank
from lrmctl.rows.located import LocatedRow
from lrmctl.rows.messages import THOUGHTS, ChatMessage, content_of, holds_messages, messages_of, same_text
from lrmctl.rows.values import count_of, missing, quoted_value, stated_text, text_of, word_of
from lrmctl.thinking import format_of_text, split_text
from lrmctl.types import FinishReason, ThinkingState

RESPONSES = ("response", "completion", "output")
COLUMNS = (*RESPONSES, "answer", *THOUGHTS, "thinking_state")
_ENDS: Mapping[str, FinishReason] = {
    **dict.fromkeys(("eos", "eos_token", "end_turn", "stop_sequence", "complete", "completed"), "stop"),
    **dict.fromkeys(("max_tokens", "max_length", "max_output_tokens", "MAX_TOKENS"), "length"),
}
_TWO = "keep the one that belongs to the answer"


@dataclass(frozen=True)
class ParsedResponse:
    """A response; fields as in `Trace`."""

    thinking: str
    answer: str
    state: ThinkingState
    irregular: tuple[str, ...] = ()


def response_of(row: LocatedRow, ended_with: ChatMessage | None = None) -> ParsedResponse | None:
    """The response of a row; None if it has none.

    Args:
        ended_with: the final assistant message of the row's conversation.

    Raises:
        RecipeError: it cannot be read, or contradicts itself.
    """
    state = state_of(row)
    text, inside = _text(row, ended_with)
    thought = _thought(row, inside)
    if text is None:
        return _apart(row, thought, state)
    if thought is not None:
        return _beside(row, thought, text, state)
    return _split(row, text, state)


def state_of(row: LocatedRow) -> ThinkingState | None:
    """The thinking state given by the row; None if not given.

    Raises:
        RecipeError: it is unknown.
    """
    if missing(row.get("thinking_state")):
        return None
    return word_of(row, "thinking_state", get_args(ThinkingState), "")  # type: ignore[return-value]


def finish_of(row: LocatedRow) -> FinishReason:
    """Why generation ended; `stop` if the row does not say.

    Raises:
        RecipeError: the reason is unknown.
    """
    value = row.get("finish_reason")
    if isinstance(value, str) and value in _ENDS:
        return _ENDS[value]
    return word_of(row, "finish_reason", get_args(FinishReason), "stop")  # type: ignore[return-value]


def counts_of(row: LocatedRow) -> dict[str, int]:
    """Token counts and sample index, if given."""
    counted = (name for name in ("thinking_tokens", "answer_tokens", "sample") if not missing(row.get(name)))
    return {name: count_of(row, name) for name in counted}


def irregular_of(row: LocatedRow) -> tuple[str, ...]:
    """Irregularities of the think tags, if given by lrmctl's own rows.

    Raises:
        RecipeError: it is not a list of words.
    """
    value = row.get("irregular")
    if missing(value):
        return ()
    if not isinstance(value, (list, tuple)) or not all(isinstance(one, str) for one in value):
        raise row.wrong(f"is {quoted_value(value)}, not a list of words", "irregular")
    return tuple(value)


def _text(row: LocatedRow, ended_with: ChatMessage | None) -> tuple[str | None, str | None]:
    """The response as one text, and its separate thinking."""
    found: dict[str, tuple[str, str | None]] = {}
    for name in RESPONSES:
        if row.get(name) is not None and not (isinstance(row[name], float) and missing(row[name])):
            found[name] = _content(row, name)
    if ended_with is not None:
        found["messages"] = (ended_with.text, ended_with.thought)
    if not found:
        return None, None
    (name, first), *others = found.items()
    if odd := next((other for other, value in others if not same_text(value[0], first[0])), None):
        raise row.wrong(f"{name!r} and {odd!r} are two responses", name, "keep one of them")
    return first[0], next((thought for _, thought in found.values() if thought), None)


def _content(row: LocatedRow, name: str) -> tuple[str, str | None]:
    value = row[name]
    if isinstance(value, str) and not holds_messages(value):
        return value, None
    if isinstance(value, str) or _are_messages(value):
        messages = messages_of(row, name)
        if odd := next((m for m in messages if m.role != "assistant"), None):
            raise row.wrong(f"a response is the assistant's, not the {odd.role}'s", name, "move the rest to `messages`")
        thoughts = [m.thought for m in messages if m.thought]
        if len(thoughts) > 1:
            raise row.wrong("the response has two thoughts", name, _TWO)
        return "\n\n".join(m.text for m in messages), thoughts[0] if thoughts else None
    try:
        return content_of(value)
    except ValueError as error:
        raise row.wrong(str(error), name, "give a text, or a list of the assistant's messages") from None


def _are_messages(value: Any) -> bool:
    first = value[0] if isinstance(value, (list, tuple)) and value else value
    return isinstance(first, Mapping) and ("role" in first or "from" in first)


def _thought(row: LocatedRow, inside: str | None) -> str | None:
    """Separate thinking from a column or the message; None if there is none."""
    found = {name: text for name in THOUGHTS if (text := stated_text(row, name))}
    if inside is not None and not is_blank(inside):
        found["messages"] = inside
    if len({text.strip() for text in found.values()}) > 1:
        raise row.wrong(f"{' and '.join(map(repr, found))} are two thoughts", next(iter(found)), _TWO)
    return next(iter(found.values()), None)


def _apart(row: LocatedRow, thought: str | None, state: ThinkingState | None) -> ParsedResponse | None:
    """Thinking and answer in separate columns; None if there is no response."""
    if "answer" not in row and (thought is None or state != "unclosed"):
        _refuse_null(row)
        return None
    answer = text_of(row, "answer")
    if answer is None and state is None and row.get("finish_reason") not in ("length", "error"):
        fix = "give an answer (an empty text is one too), or `thinking_state: unclosed` where the thinking was cut"
        raise row.wrong(f"the answer is {quoted_value(row['answer'])}", "answer", fix)
    return _checked(row, thought or "", answer or "", state or ("closed" if thought else "absent"))


def _refuse_null(row: LocatedRow) -> None:
    if null := next((name for name in RESPONSES[:2] if name in row), None):
        fix = "leave the row out, or give an empty text where the model said nothing"
        raise row.wrong(f"the response is {quoted_value(row[null])}", null, fix)


def _beside(row: LocatedRow, thought: str, text: str, state: ThinkingState | None) -> ParsedResponse:
    """Separate thinking, with a text that is the answer verbatim unless it repeats the thinking."""
    if text.lstrip().startswith(format_of_text(text).all_opens):
        split = split_text(text, opened=False)
        if not same_text(split.thinking, thought):
            raise row.wrong("the response has a thought, and another one stands apart", fix=_TWO)
        text = split.answer
    return _checked(row, thought, text, state or "closed")


def _split(row: LocatedRow, text: str, state: ThinkingState | None) -> ParsedResponse:
    """Split one text into thinking and answer."""
    if state in ("absent", "off"):
        return ParsedResponse("", text.strip(), state)
    split = split_text(text, opened=False)
    if state == "unclosed":
        if split.state == "closed":
            raise row.wrong("is unclosed, and the response closes it", "thinking_state", "correct one of the two")
        return ParsedResponse(split_text(text, opened=True).thinking, "", "unclosed", split.irregular)
    if state == "closed" and split.state != "closed":
        fix = "give `thinking` and `answer`, or the response with its tags"
        raise row.wrong(f"is closed, and the thinking of the response is {split.state}", "thinking_state", fix)
    return ParsedResponse(split.thinking, split.answer, split.state, split.irregular)


def _checked(row: LocatedRow, thinking: str, answer: str, state: ThinkingState) -> ParsedResponse:
    if state == "unclosed" and not is_blank(answer):
        raise row.wrong("is unclosed, and there is an answer", "thinking_state", "thinking that was cut has no answer")
    if state in ("absent", "off") and not is_blank(thinking):
        raise row.wrong(f"is {state}, and there is a thought", "thinking_state", "correct one of the two")
    return ParsedResponse(thinking, answer, state, irregular_of(row))
