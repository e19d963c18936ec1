"""Validates single values of a row: text, choice, count, number, label, reference, meta.

In every file format, missing means null, NaN (a data frame's null), or an empty or invisible text. A value of the wrong
type is an error with file, line and column; values are not converted to text.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

from lrmctl._util.suggest import did_you_mean
from lrmctl._util.text import is_blank
from lrmctl.rows.located import LocatedRow

YES = frozenset({"true", "yes", "y", "1", "refused", "refusal", "unsafe", "harmful"})
NO = frozenset({"false", "no", "n", "0", "complied", "compliance", "safe", "harmless", "unharmful"})
NO_LABEL = frozenset({"", "nan", "null", "none", "na", "n/a", "<na>"})


def missing(value: Any) -> bool:
    """Whether a value is null, NaN, or a blank text."""
    if isinstance(value, str):
        return is_blank(value)
    return value is None or (isinstance(value, (float, Decimal)) and value != value)


def quoted_value(value: Any) -> str:
    """A short form of a value for error messages."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value != value:
        return "NaN"
    kind = "a list" if isinstance(value, list) else "an object" if isinstance(value, dict) else ""
    text = f"{kind} {value!r}".strip()
    return text if len(text) <= 60 else f"{text[:57]}..."


def text_of(row: LocatedRow, column: str) -> str | None:
    """The column's text; None if missing.

    Raises:
        RecipeError: it is not a text.
    """
    value = row.get(column)
    if value is None or isinstance(value, str):
        return None if value is None else value
    if missing(value):
        return None
    raise row.wrong(f"is {quoted_value(value)}, not a text", column, "write the value in quotes if a text is meant")


def stated_text(row: LocatedRow, column: str) -> str | None:
    """As `text_of`, but blank texts also count as missing."""
    text = text_of(row, column)
    return None if text is None or is_blank(text) else text


def word_of(row: LocatedRow, column: str, words: Sequence[str], default: str) -> str:
    """The column's value, which must be one of `words`.

    Raises:
        RecipeError: it is not.
    """
    value = row.get(column)
    if missing(value):
        return default
    if not isinstance(value, str) or value not in words:
        hint = did_you_mean(str(value), words) if isinstance(value, str) else ""
        raise row.wrong(f"is {quoted_value(value)}, not one of {', '.join(words)}", column, hint)
    return value


def count_of(row: LocatedRow, column: str) -> int:
    """A non-negative integer; 0 if missing.

    Raises:
        RecipeError: it is something else.
    """
    value = row.get(column)
    if missing(value):
        return 0
    if isinstance(value, str) and value.strip().isascii() and value.strip().isdigit():
        return int(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value < 0 or value != int(value):
        raise row.wrong(f"is {quoted_value(value)}, not a whole number", column)
    return int(value)


def number_of(row: Mapping[str, Any], column: str, of: LocatedRow) -> float | None:
    """A finite number; None if missing.

    Args:
        row: the mapping with the value: the row itself or a part of it.
        of: the row to name in errors.

    Raises:
        RecipeError: it is something else.
    """
    value = row.get(column)
    if missing(value):
        return None
    try:
        found = float(value) if isinstance(value, (int, float, str, Decimal)) and not isinstance(value, bool) else None
    except (ValueError, OverflowError):
        found = None
    if found is None or not math.isfinite(found):
        raise of.wrong(f"is {quoted_value(value)}, not a finite number", column)
    return found


def id_of(row: LocatedRow, *columns: str) -> str | None:
    """The row's id from the first column that has one; None if none does.

    Raises:
        RecipeError: it is neither a text nor a number.
    """
    for column in columns:
        value = row.get(column)
        if missing(value):
            continue
        if isinstance(value, (str, int, float, Decimal)) and not isinstance(value, bool):
            return plain_text(value)
        raise row.wrong(f"is {quoted_value(value)}, neither a text nor a number", column)
    return None


def plain_text(value: Any) -> str:
    """A scalar as plain text: 2 and 2.0 are `2`, true is `true`."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (float, Decimal)) and math.isfinite(value):
        return (
            f"{int(value)}"
            if value == int(value)
            else f"{Decimal(repr(value)) if isinstance(value, float) else value:f}"
        )
    return str(value)


def reference_of(row: LocatedRow, column: str) -> str | None:
    """A gold answer as text: numbers as plain text, a one-element list as its element; None if missing.

    Raises:
        RecipeError: it is a boolean, infinite, an object, or several answers.
    """
    value = row.get(column)
    if isinstance(value, (list, tuple)) and len(value) <= 1:
        value = value[0] if value else None
    if missing(value):
        return None
    if isinstance(value, bool):
        fix = f'write the word that the answer has to give, e.g. "{"yes" if value else "no"}"'
        raise row.wrong(f"is {quoted_value(value)}, not a text or a number", column, fix)
    if isinstance(value, (int, float, Decimal)) and math.isfinite(value):
        return plain_text(value)
    if isinstance(value, str):
        return value
    several = isinstance(value, (list, tuple))
    fix = "one reference is graded: give the one that counts" if several else "give a text or a number"
    raise row.wrong(f"is {quoted_value(value)}, not a text or a number", column, fix)


def label_of(value: Any, positive: Sequence[str] = ()) -> bool | None:
    """A label as a boolean; None if there is no label.

    Args:
        positive: texts that mean yes, all others mean no; by default true, 1, yes etc., and their opposites.

    Raises:
        ValueError: the value is neither.
    """
    if missing(value):
        return None
    if isinstance(value, (list, dict, tuple, bytes)):
        raise ValueError(f"the label is {quoted_value(value)}, not a text, a number, true or false")
    word = plain_text(value).strip().casefold()
    if word in NO_LABEL:
        return None
    if positive:
        return word in canonical(positive)
    word = _number_word(word)
    if word not in YES | NO:
        raise ValueError(f"the label {quoted_value(value)} is neither yes nor no")
    return word in YES


def canonical(words: Sequence[str]) -> set[str]:
    """Words normalized for comparison with labels: case folded, `1.0` as `1`."""
    told = {word.strip().casefold() for word in words}
    return told | {_number_word(word) for word in told}


def _number_word(word: str) -> str:
    try:
        return plain_text(float(word)) if word[:1].isdigit() or word[:1] in "+-." else word
    except ValueError:
        return word


def json_value(value: Any) -> Any:
    """A value as JSON types: NaN and bytes become null, infinities and dates become text."""
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None if value != value else str(value)
    if isinstance(value, Mapping):
        return {str(k): json_value(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [json_value(v) for v in value]
    if isinstance(value, (datetime, date, time)):
        return value.isoformat()
    return plain_text(value) if isinstance(value, Decimal) else None if isinstance(value, bytes) else str(value)
