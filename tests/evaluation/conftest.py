"""Rows and a small evaluation of the shipped tiny model, run once for all tests that only read its results."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from lrmctl.recipe.schema.evaluation import EvalSection
from lrmctl.runs.eval_rows import EvalRow, read_rows


class Evaluated(NamedTuple):
    out: Path
    summary: dict[str, Any]
    rows: list[EvalRow]
    progress: list[tuple[int, int]]


@pytest.fixture(scope="session")
def section() -> Callable[..., EvalSection]:
    return make_section


def make_section(n: int = 12, **changes: Any) -> EvalSection:
    """Both lab sets and arithmetic: `n` prompts each, T=0.6 and T=1, 3 samples."""
    return EvalSection.model_validate(
        {
            "safety": [
                {"use": "lab-harmful", "options": {"n": n, "split": "heldout"}},
                {"use": "lab-benign", "options": {"n": n, "split": "heldout"}},
            ],
            "reasoning": ["lab_arithmetic"],
            "temperatures": [0.6, 1.0],
            "top_p": 1.0,
            "samples": 3,
            "max_new_tokens": 110,
            "batch_size": 256,
            "limit": n,
            **changes,
        }
    )


@pytest.fixture(scope="session")
def base() -> Path:
    from lrmctl.lab import base_path

    return base_path()


@pytest.fixture(scope="session")
def evaluated(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Evaluated:
    from lrmctl.evaluation import evaluate

    out = tmp_path_factory.mktemp("evaluated")
    progress: list[tuple[int, int]] = []
    summary = evaluate(
        base, make_section(), out, seed=3, on_progress=lambda done, total: progress.append((done, total))
    )
    return Evaluated(out, summary, read_rows(out / "eval" / "rows.jsonl"), progress)
