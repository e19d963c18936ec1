"""JSONL files of a run folder: read row by row past a torn last line, and written whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from lrmctl._util.jsonl import parse_row
from lrmctl.runs.damage import FIX, DamagedError
from lrmctl.runs.writing import replacing


def read_jsonl(path: Path) -> Iterator[dict[str, Any]]:
    """Rows of a JSONL file; a torn last line is skipped. Nothing if the file is not there.

    Raises:
        DamagedError: another line is no JSON object.
    """
    if not path.exists():
        return
    with path.open("rb") as lines:  # bytes: a torn line may end in the middle of a character
        for number, line in enumerate(lines, 1):
            if line.endswith(b"\n") and line.strip():
                if (row := parse_row(line)) is None:
                    raise DamagedError("this line is damaged: it is no JSON object", f"{path}:{number}", FIX)
                yield row


def write_jsonl(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write all rows at once; the file appears whole or not at all."""
    with replacing(path) as out:
        out.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
