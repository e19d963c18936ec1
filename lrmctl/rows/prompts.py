"""Reads a row's prompt as messages, with kind, id, reference and meta.

If a conversation ends with the response, that is returned separately and is not part of the prompt. Other tools' column
names are accepted if only one of them is present; lrmctl's own (`messages`, `prompt`) take precedence.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count
from typing import Any, cast

from lrmctl._util.suggest import did_you_mean
from lrmctl.rows.located import LocatedRow
from lrmctl.rows.messages import (
    ChatMessage,
    as_json,
    check_conversation,
    holds_messages,
    messages_of,
    same_text,
)
from lrmctl.rows.policy import FIX as FIX_POLICY
from lrmctl.rows.policy import response_kinds
from lrmctl.rows.strict_json import NotStrict, parsed
from lrmctl.rows.values import id_of, json_value, missing, quoted_value, reference_of, stated_text
from lrmctl.trace import DEFAULT_TAGS
from lrmctl.types import RESPONSE_POLICY, Kind, Prompt

KINDS: tuple[Kind, ...] = ("harmful", "benign", "reasoning")
CONVERSATIONS = ("messages", "conversations", "conversation")
OTHER_NAMES = ("question", "problem", "query", "instruction", "input")
SYSTEM = ("system", "system_prompt")
REFERENCES = ("reference", "ground_truth", "expected_answer", "final_answer", "gold", "target")
"""Columns of the gold answer; also `answer` and `solution` where they are not the model's response."""
FIX = "give `prompt` (a text or messages) or `messages` (a list of role and content)"


@dataclass(frozen=True)
class PromptTurn:
    """A conversation up to the user's last message, and the response that followed it in the same column.

    Attributes:
        columns: the columns that were read.
    """

    messages: tuple[ChatMessage, ...]
    response: ChatMessage | None
    columns: tuple[str, ...]


def asked_of(row: LocatedRow) -> PromptTurn:
    """The prompt of a row.

    Raises:
        RecipeError: there is none, there are two that differ, or it is not a conversation of texts.
    """
    column = _column(row)
    columns: tuple[str, ...] = (column,)
    if column in CONVERSATIONS or holds_messages(row[column]):
        found = messages_of(row, column)
    else:
        found = [ChatMessage("user", _text(row, column))]
        if column == "instruction" and (more := stated_text(row, "input")):
            found, columns = [ChatMessage("user", f"{found[0].text}\n\n{more}")], (column, "input")
    response = None
    if len(found) > 1 and found[-1].role == "assistant":
        response = found.pop()
    check_conversation(row, column, found)
    found, used = _with_system(row, found)
    return PromptTurn(tuple(found), response, (*columns, *used))


def _text(row: LocatedRow, column: str) -> str:
    text = stated_text(row, column)
    if text is None:
        fix = "give the row a prompt, or leave it out"
        raise row.wrong(
            f"the prompt is {quoted_value(row[column])}: there is nothing in it that can be read", column, fix
        )
    return text


def _column(row: LocatedRow) -> str:
    """The column with the prompt."""
    here = [name for name in CONVERSATIONS if not _nothing(row.get(name))]
    prompt = not _nothing(row.get("prompt"))
    for other in (*here[1:], *(["prompt"] if prompt and here else [])):
        _agree(row, here[0], other)
    if here:
        return here[0]
    if prompt:
        return "prompt"
    others = [name for name in OTHER_NAMES if not _nothing(row.get(name))]
    if others[:1] == ["instruction"]:
        others = [name for name in others if name != "input"]
    if len(others) > 1:
        what = f"{' and '.join(map(repr, others))} could each be the prompt"
        raise row.wrong(what, fix="call the one that is asked `prompt`")
    if others:
        return others[0]
    known = ("prompt", *CONVERSATIONS, *OTHER_NAMES)
    if empty := next((name for name in known if name in row), None):
        raise row.wrong(f"the prompt is {_empty(row[empty])}", empty, "give the row a prompt, or leave it out")
    hint = next((f"did you mean the column {name!r} to be it? " for name in row if _like(name)), "")
    raise row.wrong("the row has no prompt", fix=f"{hint}{FIX}; its columns: {', '.join(map(str, row)) or 'none'}")


def _like(name: str) -> bool:
    return did_you_mean(str(name), ("prompt", "messages")).startswith("did")


def _nothing(value: Any) -> bool:
    return missing(value) or (isinstance(value, (list, tuple, Mapping)) and not value)


def _empty(value: Any) -> str:
    return "empty" if isinstance(value, (str, list, tuple, Mapping)) else quoted_value(value)


def _agree(row: LocatedRow, column: str, other: str) -> None:
    """Check that two columns that could be the prompt agree: equal messages, or a text that is in the conversation."""
    first = messages_of(row, column)
    if holds_messages(row[other]):
        second = messages_of(row, other)
        same = as_json(first[: len(second)]) == as_json(second[: len(first)])
    else:
        text = _text(row, other)
        last = [m.text.strip() for m in first if m.role == "user"][-1:]
        same = any(same_text(m.text, text) for m in first) or any(one and one in text for one in last)
    if not same:
        raise row.wrong(f"{column!r} and {other!r} say different things", column, "keep the one that is asked")


def _with_system(row: LocatedRow, messages: list[ChatMessage]) -> tuple[list[ChatMessage], tuple[str, ...]]:
    """Prepend the system message from its own column."""
    told = {name: text for name in SYSTEM if (text := stated_text(row, name))}
    if not told:
        return messages, ()
    column, text = next(iter(told.items()))
    if any(not same_text(text, other) for other in told.values()):
        raise row.wrong(f"{' and '.join(map(repr, told))} differ", column, "keep one of them")
    if messages[0].role == "system":
        if not same_text(messages[0].text, text):
            raise row.wrong("differs from the system message of the conversation", column, "keep one of them")
        return messages, tuple(told)
    return [ChatMessage("system", text), *messages], tuple(told)


def plain_messages(messages: Iterable[ChatMessage]) -> tuple[dict[str, str], ...]:
    """Messages in the form of `Prompt.messages`; separate thinking of past messages is put in tags before the text."""
    return tuple({"role": m.role, "content": _past(m)} for m in messages)


def _past(message: ChatMessage) -> str:
    if not message.thought:
        return message.text
    return f"{DEFAULT_TAGS.open}\n{message.thought}\n{DEFAULT_TAGS.close}\n\n{message.text}"


def prompt_of(
    row: LocatedRow,
    asked: PromptTurn,
    *,
    kind: Kind | None,
    id: str,
    ids: Sequence[str] = ("id",),
    source: str = "",
    reference: str | None = None,
    meta: Mapping[str, Any] | None = None,
) -> Prompt:
    """The prompt of a row.

    Args:
        kind: for rows that do not state one; None if they must.
        id: for rows without one.
        ids: columns that may contain the id.

    Raises:
        RecipeError: kind, id, meta or response policy cannot be read.
    """
    return Prompt(
        id=id_of(row, *ids) or id,
        messages=plain_messages(asked.messages),
        kind=kind_of(row, kind),
        source=source,
        reference=reference,
        meta=_with_policy(row, {**(meta or {}), **meta_of(row)}),
    )


def _with_policy(row: LocatedRow, meta: dict[str, Any]) -> dict[str, Any]:
    """The meta with the row's response policy, from the column of that name or from the meta itself."""
    own = row.get(RESPONSE_POLICY)
    value = meta.pop(RESPONSE_POLICY, None) if missing(own) else own
    if missing(value):
        return meta
    try:
        return {**meta, RESPONSE_POLICY: list(response_kinds(value))}
    except ValueError as error:
        raise row.wrong(str(error), "meta" if missing(own) else RESPONSE_POLICY, FIX_POLICY) from None


def kind_of(row: LocatedRow, default: Kind | None) -> Kind:
    """The kind of the row's prompt.

    Raises:
        RecipeError: it is unknown, or neither the row nor `default` gives one.
    """
    value = row.get("kind")
    if missing(value):
        if default is None:
            fix = f"give each row, or the source, a `kind:` of {', '.join(KINDS)}"
            raise row.wrong("the row does not say its kind", fix=fix)
        return default
    if value not in KINDS:
        hint = did_you_mean(str(value), KINDS)
        raise row.wrong(f"the row's kind is {quoted_value(value)}, not one of {', '.join(KINDS)}", "kind", hint)
    return cast("Kind", value)


def gold_of(row: LocatedRow, kind: Kind, *, answers: bool) -> tuple[str | None, str]:
    """The gold answer of a row and its column; None and "" if there is none.

    Args:
        answers: whether `answer` and `solution` may be the gold answer, because they are not the model's response.

    Raises:
        RecipeError: a value is not a valid reference, or two differ.
    """
    found = {name: text for name in REFERENCES if name in row and (text := _given(row, name))}
    if not found and answers and kind == "reasoning":
        found = {name: text for name in ("answer", "solution") if (text := _worked(row, name))}
        found = dict(list(found.items())[:1])
    if len({text.strip() for text in found.values()}) > 1 and "reference" not in found:
        what = f"{' and '.join(map(repr, found))} give different gold answers"
        raise row.wrong(what, next(iter(found)), "call the one that counts `reference`")
    return next(((text, name) for name, text in found.items()), (None, ""))


def _given(row: LocatedRow, name: str) -> str | None:
    if name != "reference" and isinstance(row[name], (Mapping, bool)):
        return None  # another tool's column with the same name but another meaning
    return reference_of(row, name)


def _worked(row: LocatedRow, name: str) -> str | None:
    """An answer, or the result of a worked solution: after `####` (GSM8K), or in its last box (MATH)."""
    text = reference_of(row, name)
    if text is None:
        return None
    _, mark, last = text.rpartition("####")
    if mark:
        return last.strip().replace(",", "") or None
    if "\\boxed" in text or "\\fbox" in text:
        from lrmctl._util.boxed import last_boxed

        return last_boxed(text)
    return text if name == "answer" else None


def meta_of(row: LocatedRow) -> dict[str, Any]:
    """The content of the column `meta` as JSON types.

    Raises:
        RecipeError: it is not an object.
    """
    value = row.get("meta")
    if missing(value):
        return {}
    if isinstance(value, str):
        try:
            value = parsed(value)
        except NotStrict as error:
            raise row.wrong(f"is a text that {error}", "meta", "give an object") from None
    if not isinstance(value, Mapping):
        raise row.wrong(f"is {quoted_value(value)}, not an object", "meta")
    return {str(k): json_value(v) for k, v in value.items()}


def rest_of(row: LocatedRow, used: Iterable[str]) -> dict[str, Any]:
    """Every unused column, as meta."""
    left_out = {*used, "id", "kind", "meta"}
    return {k: json_value(v) for k, v in row.items() if k not in left_out and not isinstance(v, bytes)}


def distinct_ids(prompts: Sequence[Prompt]) -> list[Prompt]:
    """The prompts, with ids numbered if several different conversations share one.

    Rows with the same id and conversation (samples of one prompt) keep the id; the second conversation with that id
    becomes `id-2`, and so on.
    """
    first: dict[str, str] = {}
    for prompt in prompts:
        first.setdefault(prompt.id, key_of(prompt))
    names: dict[tuple[str, str], str] = {}
    told = []
    for prompt in prompts:
        key = key_of(prompt)
        if first[prompt.id] == key:
            told.append(prompt)
            continue
        if (name := names.get((prompt.id, key))) is None:
            free = (f"{prompt.id}-{number}" for number in count(2))
            name = names[prompt.id, key] = next(one for one in free if one not in first)
            first[name] = key
        told.append(replace(prompt, id=name))
    return told


def key_of(prompt: Prompt) -> str:
    """Identity of a prompt: roles and texts of all messages, not its id."""
    return "\x1e".join(f"{m['role']}\x1f{m['content'].strip()}" for m in prompt.messages)


def opening_of(prompt: Prompt) -> str:
    """Key of a conversation up to its first user message, equal for all demonstrations made from its turns."""
    first = next((i for i, m in enumerate(prompt.messages, 1) if m["role"] == "user"), len(prompt.messages))
    return key_of(replace(prompt, messages=prompt.messages[:first]))
