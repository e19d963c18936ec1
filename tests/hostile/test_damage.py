"""Damaged files of a run: `run list` shows that run as damaged, other commands name the file; never a bug of ours."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.e2e

Lrmctl = Callable[..., Any]
FILES = (
    "status.json",
    "lock.json",
    "metrics.jsonl",
    "eval/summary.json",
    "eval/rows.jsonl",
    "analysis/reflection.json",
)
DAMAGE = {
    "garbage": b"garbage\n", "empty": b"", "null": b"null\n", "list": b"[1]\n", "number": b"7\n",
    "binary": bytes(range(256)),
    "truncated": b'{"state": "do\n', "nested": b"[" * 5000 + b"\n", "nested object": b'{"a":' * 5000 + b"\n",
    "wrong types": b'{"state": 5, "sets": 7, "recipe": [], "step": "x", "cells": {}, "set": 1, "trace": []}\n',
    "wrong inside": b'{"sets": [5], "state": [], "step": null, "cells": [1], "recipe": null, "set": null}\n',
}  # fmt: skip
COMMANDS = [
    ("run", "show", "a"), ("run", "logs", "a"), ("run", "list"), ("run", "list", "--json"), ("compare", "b", "a"),
    ("report", "b", "a", "--out", "page.html"), ("export", "a", "--to", "lm-eval", "--out", "exported"),
    ("recipe", "diff", "lab/rl", "run:a"), ("monitor", "a"), ("reward", "score", "run:a", "--use", "format"),
    ("train", "lab/rl", "--name", "a"), ("train", "lab/rl", "--name", "a", "--resume"), ("analyze", "a"),
]  # fmt: skip


def _damage(path: Path, content: bytes | None) -> None:
    path.unlink()
    if content is None:
        path.mkdir()
    else:
        path.write_bytes(content)


@pytest.mark.parametrize("content", [*DAMAGE.values(), None], ids=[*DAMAGE, "a folder"])
@pytest.mark.parametrize("file", FILES)
def test_no_command_takes_damage_for_a_bug_of_ours(
    lrmctl: Lrmctl, runs: Path, file: str, content: bytes | None
) -> None:
    _damage(runs / "a" / file, content)
    for command in COMMANDS[:10]:
        said = lrmctl(*command)
        assert said.is_an_answer, (command, said.code, said.err)


@pytest.mark.parametrize("content", [b"garbage", b"", b"[]", b'{"state": 5}', None])
def test_one_damaged_run_is_shown_as_such_beside_the_others(lrmctl: Lrmctl, runs: Path, content: bytes | None) -> None:
    _damage(runs / "a" / "status.json", content)
    said = lrmctl("run", "list", "--json")
    assert said.code == 0
    states = {row["name"]: row["state"] for row in json.loads(said.out)["data"]}
    assert states == {"a": f"damaged: {runs / 'a' / 'status.json'}", "b": "done"}
    shown = lrmctl("run", "show", "a")
    assert (shown.code, "status.json" in shown.err) == (2, True)
