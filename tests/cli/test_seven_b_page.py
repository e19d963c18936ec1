"""docs/seven-b.md shows what `--dry-run` says today: the figures of the plan and the table of cards."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "seven-b.md").read_text(encoding="utf-8")
CARDS = re.findall(r"^\| (\d) x (\S+) \| (\S+ GiB) \| ([\w ]+?) \| (?:`(\S+): (\S+)`)? ?\|$", PAGE, re.MULTILINE)
SHOWN = [
    line for block in re.findall(r"^```text\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL) for line in block.splitlines()
]


def plan(lrmctl: Callable[..., Any], *words: str) -> str:
    shown = lrmctl("train", "rl-guard", "--on", "r1-distill-qwen-7b", "--dry-run", *words)
    assert shown.code == 0
    return " ".join(str(shown.out).split())


def test_every_figure_of_the_page_is_in_the_plan(lrmctl: Callable[..., Any]) -> None:
    said = plan(lrmctl)
    assert len(SHOWN) > 8
    assert [line for line in SHOWN if " ".join(line.split()) not in said] == []
    for figure in ("99.3 GiB sleeping states", "113 GiB sleeping weights"):
        assert figure in said


@pytest.mark.parametrize(("gpus", "card", "peak", "verdict", "key", "value"), CARDS)
def test_every_row_of_the_table_is_what_the_plan_says(
    lrmctl: Callable[..., Any], gpus: str, card: str, peak: str, verdict: str, key: str, value: str
) -> None:
    said = plan(lrmctl, "--set", f"layout.gpus={gpus}", "--set", f"layout.gpu_type={card}")
    assert f"{peak} at the peak" in said
    assert f"({card}): {verdict}" in said
    assert ("change first" in said) is bool(key)  # a run that is tight is not told of a change that does not fit
    assert not key or f"change first: {key}: {value}" in said


def test_the_table_is_read() -> None:
    assert len(CARDS) == 6
