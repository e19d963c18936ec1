from __future__ import annotations

import json
from pathlib import Path

import pytest
from compared import benign, evaluated, row, sum_of

from lrmctl.runs.eval_rows import EvalRow, eval_rows, read_rows
from lrmctl.runs.jsonl import read_jsonl


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    made = [row("1", True), row("2", None, text="naïve ☃"), benign("3", True), sum_of("4", False, finish="error")]
    return evaluated(tmp_path, made) / "eval/rows.jsonl"


def test_rows_are_read_as_their_own_classes_read_them(rows: Path) -> None:
    assert read_rows(rows) == [EvalRow.from_json(row) for row in read_jsonl(rows)]


def test_a_score_that_is_not_a_number_is_read(rows: Path) -> None:
    one = json.loads(rows.read_text().splitlines()[0]) | {"scores": {"x": float("nan")}}
    rows.write_text(json.dumps(one) + "\n")
    (found,) = eval_rows(rows)
    assert found.scores["x"] != found.scores["x"]


def test_a_torn_last_line_is_skipped(rows: Path) -> None:
    rows.write_bytes(rows.read_bytes() + '{"set": "☃'.encode()[:-1])
    assert len(list(eval_rows(rows))) == 4
