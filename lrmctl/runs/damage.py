"""Reads JSON files of lrmctl that may be damaged, with errors that name the file."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lrmctl.errors import LrmctlError


class DamagedError(LrmctlError, ValueError):
    """A file of a run folder is not as lrmctl wrote it."""


def read_object(path: Path) -> dict[str, Any]:
    """The JSON object in a file; empty if there is no file.

    Raises:
        DamagedError: it cannot be read, or is not a JSON object.
    """
    try:
        found = json.loads(path.read_bytes().decode("utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise DamagedError(f"cannot be read: {error.strerror}", str(path), FIX) from None
    except (ValueError, RecursionError) as error:
        raise DamagedError(f"this file is damaged: {_reason(error)}", str(path), FIX) from None
    if not isinstance(found, dict):
        raise DamagedError(f"this file is damaged: it holds {named(found)}, not an object", str(path), FIX)
    return found


@contextmanager
def part_of(path: Path) -> Iterator[None]:
    """Report errors raised inside, while values of this file are read, as damage of the file.

    Raises:
        DamagedError: a value is missing or has an unexpected type.
    """
    try:
        yield
    except LrmctlError:
        raise
    except (KeyError, TypeError, AttributeError, ValueError, IndexError, OverflowError) as error:
        raise DamagedError(f"this file is damaged: {type(error).__name__}: {error}", str(path), FIX) from error


FIX = "bring it back from a copy, or run the command that writes it again"


def named(value: object) -> str:
    """A JSON value's type as text."""
    names = {dict: "an object", list: "a list", str: "a text", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")


def _reason(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg} in line {error.lineno}" if error.doc.strip() else "it is empty"
    if isinstance(error, UnicodeDecodeError):
        return "it is not UTF-8 text"
    return "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
