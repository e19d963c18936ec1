"""Atomic file writes, safe with concurrent writers: write to a uniquely named part file, then rename."""

from __future__ import annotations

import json
import os
import re
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TextIO

from lrmctl._util.disk import naming
from lrmctl.runs.output import refuse_special

_PART = re.compile(r"\.\d+-[0-9a-f]{8}\.part")


@contextmanager
def replacing(path: Path) -> Iterator[TextIO]:
    """Open a text file that replaces `path` on success and is deleted after an error.

    Lone surrogates, which UTF-8 cannot encode, are written as their JSON escape.
    """
    with replacing_path(path) as part, part.open("x", encoding="utf-8", errors="backslashreplace") as out:
        yield out


@contextmanager
def replacing_path(path: Path) -> Iterator[Path]:
    """Yield a path for writing that replaces `path` on success and is deleted after an error."""
    refuse_special(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name[:200]}.{os.getpid()}-{secrets.token_hex(4)}.part")
    try:
        with naming(path):
            yield part
        part.replace(path)
    except BaseException:
        with suppress(OSError):
            part.unlink()
        raise


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically."""
    with replacing(path) as out:
        out.write(text)


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write a JSON file atomically."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


@contextmanager
def private_files(folder: Path, texts: Mapping[str, str]) -> Iterator[None]:
    """Files that only the user can read, deleted on leaving the context."""
    paths = [(folder / name, text) for name, text in texts.items()]
    try:
        for path, text in paths:
            path.unlink(missing_ok=True)
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as out:
                out.write(text)
        yield
    finally:
        for path, _ in paths:
            with suppress(OSError):
                path.unlink()


def remove_partial_files(folder: Path) -> None:
    """Delete part files left by killed writers. The caller must hold the folder."""
    for path in folder.glob("*.part"):
        if _PART.search(path.name) and path.is_file():
            with suppress(OSError):
                path.unlink()
