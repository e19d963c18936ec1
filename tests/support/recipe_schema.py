"""What the JSON Schema of recipes finds wrong, as an editor would."""

from __future__ import annotations

from functools import cache
from typing import Any

from jsonschema import Draft202012Validator


@cache
def _validator(kind: str | None) -> Draft202012Validator:
    from lrmctl.recipe.json_schema import json_schema

    return Draft202012Validator(json_schema(kind))


def schema_errors(data: Any, kind: str | None = None) -> list[str]:
    """`key: what is wrong` of each problem, of a file of recipes of one kind or any."""
    found = _validator(kind).iter_errors(data)
    return [f"{'.'.join(map(str, error.absolute_path))}: {error.message[:120]}" for error in found]
