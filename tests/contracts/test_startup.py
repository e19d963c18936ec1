"""What a command may import before it has anything to do."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = {"torch", "transformers", "datasets", "scipy", "lm_eval"}
IDLE = {
    "numpy",
    "statsmodels",
    "matplotlib",
    "fastapi",
    "uvicorn",
    "httpx",
    "pydantic",
    "ray",
    "rich",
    "yaml",
    "jinja2",
}


def imported(*words: str) -> set[str]:
    """Top-level modules that a command imports, from the interpreter's own log."""
    argv = [sys.executable, "-X", "importtime", "-m", "lrmctl", *words]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    lines = [line for line in done.stderr.splitlines() if line.startswith("import time:")]
    assert any("lrmctl" in line for line in lines)
    return {line.rpartition("|")[2].strip().partition(".")[0] for line in lines}


def test_help_imports_nothing_that_it_does_not_need() -> None:
    assert imported("--help") & (HEAVY | IDLE) == set()


@pytest.mark.parametrize(
    "words", ["recipe list", "plugin list", "run list", "recipe show demo", "recipe validate demo"]
)
def test_reading_commands_import_no_numerics(words: str) -> None:
    assert imported(*words.split()) & HEAVY == set()
