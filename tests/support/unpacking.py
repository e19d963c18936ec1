"""The viewer's bytes read back by other code than its own script: as it documents them."""

from __future__ import annotations

import base64
import gzip
import json
import re
import struct
from typing import Any, NamedTuple


class Chunk(NamedTuple):
    columns: dict[str, list[Any]]
    tokens: list[dict[str, Any] | None]


def element(html: str, id: str) -> bytes:
    (content,) = re.findall(rf'<script type="application/octet-stream" id="{id}">([^<]*)</script>', html)
    return gzip.decompress(base64.b64decode(content, validate=True))


def read_index(part: dict[str, Any]) -> list[dict[str, Any]]:
    """One mapping a trace."""
    n = part["count"]
    columns = {name: found if isinstance(found, list) else [found] * n for name, found in part["columns"].items()}
    rows = [{name: values[i] for name, values in columns.items()} for i in range(n)]
    for row in rows:
        row.update({field: part["words"][field][row[field]] for field in part["words"]})
    return rows


def read_chunk(content: bytes) -> Chunk:
    (length,) = struct.unpack_from("<I", content)
    head, at, tokens = json.loads(content[4 : 4 + length]), 4 + length, []
    for sizes in head["tokens"]:
        if not sizes:
            tokens.append(None)
            continue
        count, starts, kl = sizes
        rest = content[at + count + kl : at + count + kl + starts]
        tokens.append({
            "entropy": [16 * (byte / 255) ** 2 for byte in content[at : at + count]],
            "kl": [16 * (byte / 255) ** 2 for byte in content[at + count : at + count + kl]],
            "starts": _places(rest),
        })  # fmt: skip
        at += count + kl + starts
    assert at == len(content)
    return Chunk(head["columns"], tokens)


def _places(steps: bytes) -> list[int]:
    places, at = [], 0
    for step in steps:
        at += step
        if step < 255:
            places.append(at)
    return places
