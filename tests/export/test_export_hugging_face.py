from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from exported import INJECTION, evaluated

from lrmctl.export import hugging_face
from lrmctl.export.hugging_face import write_hugging_face
from lrmctl.export.source import ExportedEvaluation
from lrmctl.runs.eval_rows import read_rows


@pytest.fixture
def exported(tmp_path: Path) -> Path:
    write_hugging_face(ExportedEvaluation(evaluated(tmp_path / "run"), "run"), tmp_path / "out")
    return tmp_path / "out"


def load(folder: Path, config: str) -> Any:
    from datasets import load_dataset

    return load_dataset(str(folder), config, split="train", cache_dir=str(folder.parent / "cache"))


def test_the_folder_loads_as_a_dataset_and_holds_every_row(exported: Path) -> None:
    rows = load(exported, "rows")
    known = read_rows(exported.parent / "run/eval/rows.jsonl")
    assert len(rows) == len(known)
    for loaded, row in zip(rows, known, strict=True):
        assert (loaded["prompt_id"], loaded["sample"]) == (row.trace.prompt.id, row.trace.sample)
        assert (loaded["thinking"], loaded["answer"]) == (row.trace.thinking, row.trace.answer)
        assert loaded["messages"] == [dict(m) for m in row.trace.prompt.messages]
        assert (loaded["outcome"], loaded["correct"]) == (row.outcome, row.correct)
        assert json.loads(loaded["scores"]) == row.scores


def test_a_verdict_that_failed_is_no_verdict(exported: Path) -> None:
    (row,) = [r for r in load(exported, "rows") if (r["prompt_id"], r["sample"]) == ("b0", 0)]
    assert (row["answer_outcome"], row["outcome"]) == ("failed", "failed")


def test_figures_come_with_their_intervals(exported: Path) -> None:
    figures = load(exported, "metrics")
    summary = json.loads((exported.parent / "run/eval/summary.json").read_text())
    wanted = {(e["set"], name): m for e in summary["sets"] for name, m in e["metrics"].items()}
    assert len(figures) == len(wanted)
    for row in figures:
        assert {k: row[k] for k in ("value", "low", "high", "n")} == {
            k: wanted[row["set"], row["metric"]][k] for k in ("value", "low", "high", "n")
        }


def test_the_card_warns_names_licences_and_cannot_be_broken_by_a_name(exported: Path) -> None:
    text = (exported / "README.md").read_text()
    _, head, body = text.split("---\n", 2)
    assert yaml.safe_load(head)["pretty_name"] == f"Evaluation of tiny {INJECTION}"
    assert yaml.safe_load(head)["license_details"] == "MIT"
    assert "some of it harmful" in body
    assert "<script" not in body.replace("\\<", "")


def test_without_text_the_columns_are_not_there(tmp_path: Path) -> None:
    write_hugging_face(ExportedEvaluation(evaluated(tmp_path / "run"), "run", text=False), tmp_path / "out")
    rows = load(tmp_path / "out", "rows")
    assert {"prompt_id", "outcome", "thinking_tokens"} <= set(rows.column_names)
    assert not {"messages", "thinking", "answer", "answer_raw", "reference"} & set(rows.column_names)
    assert "owned" not in str(rows[:])
    assert "Texts were left out" in (tmp_path / "out/README.md").read_text()


def test_rows_beyond_one_batch_are_all_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hugging_face, "AT_ONCE", 5)
    write_hugging_face(ExportedEvaluation(evaluated(tmp_path / "run", 7), "run"), tmp_path / "out")
    assert len(load(tmp_path / "out", "rows")) == 7 * 2 * 3


def test_two_exports_of_one_name_are_not_mixed_up_by_the_cache(tmp_path: Path) -> None:
    from datasets import load_dataset

    for name, prompts in (("one", 3), ("two", 5)):
        write_hugging_face(ExportedEvaluation(evaluated(tmp_path / name, prompts), name), tmp_path / name / "hf")
        for config in ("rows", "metrics"):
            load_dataset(str(tmp_path / name / "hf"), config, split="train", cache_dir=str(tmp_path / "cache"))
    loaded = load_dataset(str(tmp_path / "two/hf"), "rows", split="train", cache_dir=str(tmp_path / "cache"))
    assert len(loaded) == 5 * 2 * 3
