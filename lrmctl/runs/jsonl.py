"""JSONL files of a run folder: reading that tolerates an incomplete last line, and atomic writing."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from lrmctl._util.jsonl import parse_row
from lrmctl.runs.damage import FIX, DamagedError
from lrmctl.runs.writing import replacing


def read_jsonl(path: Path) -> Iterator[dict[str, Any]]:
    """Rows of a JSONL file; an incomplete last line is skipped. Empty if there is no file.

    Raises:
        DamagedError: any other line is not a JSON object.
    """
    if not path.exists():
        return
    with path.open("rb") as lines:  # bytes: an incomplete line may end within a character
        for number, line in enumerate(lines, 1):
            if line.endswith(b"\n") and line.strip():
                if (row := parse_row(line)) is None:
                    raise DamagedError("this line is damaged: it is no JSON object", f"{path}:{number}", FIX)
                yield row


def write_jsonl(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write all rows atomically."""
    with replacing(path) as out:
        out.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
