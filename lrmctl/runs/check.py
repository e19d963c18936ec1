"""Checks a run's files for damage before a command reads them, so that errors name the damaged file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from lrmctl.runs.damage import FIX, DamagedError, read_object

_NUMBER = float | None
_METRIC = dict[str, Any]


def refuse_damaged(folder: Path) -> None:
    """Check the small files of a run.

    Raises:
        DamagedError: one of them cannot be read, or has values of unexpected types.
    """
    for name, form in _FORMS.items():
        _fits(folder / name, form)
    for path in sorted(folder.glob("eval*/summary.json")):
        check_summary(path)
    _metrics(folder / "metrics.jsonl")


def check_summary(path: Path) -> None:
    """Raises DamagedError if the summary of an evaluation is not as lrmctl writes it."""
    found = _fits(path, _SUMMARY)
    for entry in found.get("sets", ()):
        _typed(path, entry, _ENTRY)
        if missing := {"set", "kind", "temperature"} - entry.keys():
            raise DamagedError(f"this file is damaged: a set has no {sorted(missing)[0]!r}", str(path), FIX)


_KIND = Literal["harmful", "benign", "reasoning"]
_ENTRY: Mapping[str, Any] = {
    "set": str, "kind": _KIND, "temperature": float, "prompts": int, "samples": int, "metrics": dict[str, _METRIC],
    "judge": str | None, "judge_version": str | None,
}  # fmt: skip
_SUMMARY: Mapping[str, Any] = {
    "model": str, "label": str | None, "fingerprint": str | None, "engine": dict[str, Any] | None,
    "sampling": dict[str, Any] | None, "overlap": list[dict[str, Any]], "warnings": list[str],
    "sets": list[dict[str, Any]],
}  # fmt: skip
_FORMS: Mapping[str, Mapping[str, Any]] = {
    "status.json": {"state": str, "updated": str, "error": str | None, "steps": int | None, "attempt": int | None,
                    "resumed_from": int | None, "job": dict[str, Any] | None},
    "lock.json": {"recipe": dict[str, Any], "recipe_sha256": str, "model": dict[str, Any], "versions": dict[str, Any],
                  "functions": dict[str, str], "data": dict[str, Any], "lineage": dict[str, Any]},
    "plan.json": {"argv": list[str], "estimates": dict[str, Any]},
    "study.json": {"recipe": dict[str, Any], "cells": list[dict[str, Any]]},
    "analysis/reflection.json": {"cells": list[dict[str, Any]]},
    "analysis/entropy.json": {"cells": list[dict[str, Any]]},
}  # fmt: skip


def _fits(path: Path, form: Mapping[str, Any]) -> dict[str, Any]:
    found = read_object(path)
    _typed(path, found, form)
    return found


def _typed(path: Path, found: Mapping[str, Any], form: Mapping[str, Any]) -> None:
    from msgspec import ValidationError, convert

    for key, kind in form.items():
        try:
            if key in found:
                convert(found[key], kind)
        except ValidationError as error:
            raise DamagedError(f"this file is damaged: {key}: {error}", str(path), FIX) from None


def _metrics(path: Path) -> None:
    from lrmctl.runs.jsonl import read_jsonl

    for row in read_jsonl(path):
        _typed(path, row, {"step": int})
        if "step" not in row:
            raise DamagedError("this file is damaged: a row has no step", str(path), FIX)
        _typed(path, row, {key: _NUMBER for key in row if key != "step" and not isinstance(row[key], (dict, list))})
