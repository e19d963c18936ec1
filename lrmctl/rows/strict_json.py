"""Strict JSON for rows: no duplicate keys, no lone surrogates, bounded nesting. NaN is accepted.

The standard `json` keeps the last of two equal keys and accepts lone surrogates, which cannot be written as UTF-8.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

DEEPEST = 64
_HALF = re.compile("[\ud800-\udfff]")


class NotStrict(ValueError):
    """A problem with a JSON text.

    Attributes:
        what: one sentence for the user.
        at: character offset in the text.
    """

    def __init__(self, what: str, at: int = 0) -> None:
        super().__init__(what, at)
        self.what, self.at = what, at

    def __str__(self) -> str:
        return self.what


def parsed(text: str) -> Any:
    """Parse a JSON text.

    Raises:
        NotStrict: it is not JSON, or not strict JSON.
    """
    _shallow(text)
    try:
        value = _DECODER.decode(text)
    except json.JSONDecodeError as error:
        raise NotStrict(f"is not JSON: {error.msg} at character {error.pos + 1}", error.pos) from None
    except RecursionError:
        raise _deep() from None
    except NotStrict:
        raise
    except ValueError as error:  # a number with thousands of digits
        raise NotStrict(f"is not JSON that can be read: {error}") from None
    _whole_characters(text, value)
    return value


def elements(text: str) -> Iterable[tuple[int, Any]]:
    """The elements of a JSON list, each with the offset of its first character.

    Raises:
        NotStrict: as `parsed`.
    """
    at = _skip(text, 0) + 1
    while (at := _skip(text, at)) < len(text) and text[at] != "]":
        try:
            value, end = _DECODER.raw_decode(text, at)
        except json.JSONDecodeError as error:
            raise NotStrict(f"is not JSON: {error.msg} at character {error.pos + 1}", error.pos) from None
        except NotStrict as error:
            raise NotStrict(error.what, at) from None
        except RecursionError:
            raise NotStrict(_deep().what, at) from None
        try:
            _shallow(text[at:end])
            _whole_characters(text[at:end], value)
        except NotStrict as error:
            raise NotStrict(error.what, at) from None
        yield at, value
        at = _skip(text, end)
        if at < len(text) and text[at] == ",":
            at += 1
        elif at >= len(text) or text[at] != "]":
            raise NotStrict("the list of rows is cut off, or lacks a comma", min(at, len(text)))
    if at >= len(text):
        raise NotStrict("the list of rows is cut off: it has no closing bracket", len(text))
    if _skip(text, at + 1) < len(text):
        raise NotStrict("something follows the list of rows", at)


def _skip(text: str, at: int) -> int:
    while at < len(text) and text[at] in " \t\r\n":
        at += 1
    return at


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise NotStrict(f"the key {twice!r} is there twice")
    return found


_DECODER = json.JSONDecoder(object_pairs_hook=_object)


def _shallow(text: str) -> None:
    """Check the nesting depth by counting brackets outside strings, only if there are many."""
    if text.count("[") + text.count("{") <= DEEPEST:
        return
    depth = 0
    for mark in re.finditer(r'"(?:[^"\\]|\\.)*+"|[\[{]|[\]}]', text):
        char = mark[0]
        depth += (char in "[{") - (char in "]}")
        if depth > DEEPEST:
            raise _deep()


def _deep() -> NotStrict:
    return NotStrict(f"is nested more than {DEEPEST} levels deep")


def _whole_characters(text: str, value: Any) -> None:
    if "\\ud" not in text and "\\uD" not in text:
        return
    if found := _half(value, ""):
        column, half = found
        raise NotStrict(f"column {column!r} holds half of a character (\\u{ord(half):04x})")


def _half(value: Any, column: str) -> tuple[str, str] | None:
    if isinstance(value, str):
        half = _HALF.search(value)
        return (column, half[0]) if half else None
    if isinstance(value, dict):
        inside = [*((v, column or k) for k, v in value.items()), *((k, column or k) for k in value)]
    else:
        inside = [(v, column) for v in value] if isinstance(value, list) else []
    return next((found for v, c in inside if (found := _half(v, c))), None)
