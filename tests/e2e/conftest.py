"""The command line in a process of its own, with no data folder and no hub."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Smoke = Callable[..., tuple[int, list[dict[str, Any]], str]]


def environment(**more: str) -> dict[str, str]:
    clean = {key: value for key, value in os.environ.items() if key != "LRMCTL_DATA_DIR"}
    return {**clean, "COLUMNS": "200", **more}


@pytest.fixture
def smoke(tmp_path: Path) -> Smoke:
    """`lrmctl train RECIPE --smoke --json`: exit code, chains, and what was said."""

    def run(recipe: str, *words: str, **env: str) -> tuple[int, list[dict[str, Any]], str]:
        argv = [
            sys.executable,
            "-m",
            "lrmctl",
            "train",
            recipe,
            "--smoke",
            "--json",
            "--runs-dir",
            str(tmp_path / "runs"),
        ]
        done = subprocess.run(
            [*argv, *words], capture_output=True, text=True, timeout=900, cwd=tmp_path, env=environment(**env)
        )
        chains = json.loads(done.stdout)["data"] if done.stdout.strip().startswith("{") else []
        return done.returncode, chains, done.stderr

    return run


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.e2e)
