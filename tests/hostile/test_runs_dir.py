"""`--runs-dir` is where runs are read and written, and nowhere else."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Lrmctl = Callable[..., Any]

pytestmark = pytest.mark.e2e

COMMANDS = [
    ("run", "list"),
    ("run", "show", "a"),
    ("compare", "run:a", "run:b"),
    ("report", "a", "b"),
    ("analyze", "a"),
    ("export", "a", "--to", "lm-eval"),
    ("eval", "lab:tiny", "--name", "n", "--set", "evaluation.limit=1", "--set", "evaluation.samples=1"),
    ("train", "lab/rl", "--dry-run"),
    ("train", "lab/rl", "--model", "run:a", "--dry-run"),
    ("recipe", "validate", "lab/rl", "--set", "model=run:a"),
    ("run", "rm", "b", "-y"),
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_runs_are_where_the_option_says(
    lrmctl: Lrmctl, made_runs: Path, tmp_path: Path, command: tuple[str, ...]
) -> None:
    from lrmctl.lab import base_path

    elsewhere = tmp_path / "else" / "where"
    shutil.copytree(made_runs, elsewhere)
    shutil.copytree(base_path(), elsewhere / "a" / "model")
    said = lrmctl(*command, "--runs-dir", elsewhere)
    assert said.code == 0, said.err
    assert not (tmp_path / "runs").exists()
