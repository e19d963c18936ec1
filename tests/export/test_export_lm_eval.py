from __future__ import annotations

import json
from pathlib import Path

import pytest
from exported import SAMPLES, evaluated

from lrmctl.errors import LrmctlError
from lrmctl.export.lm_eval import write_lm_eval
from lrmctl.export.source import LEFT_OUT, ExportedEvaluation


def written(folder: Path, *, text: bool = True) -> list[Path]:
    return write_lm_eval(ExportedEvaluation(evaluated(folder / "run"), "run", text), folder / "out")


def test_lm_evals_own_table_shows_our_figures(tmp_path: Path) -> None:
    from lm_eval.utils import make_table

    results = json.loads(written(tmp_path)[0].read_text())
    table = make_table(results)
    summary = json.loads((tmp_path / "run/eval/summary.json").read_text())
    (sums,) = [e for e in summary["sets"] if e["set"] == "sums"]
    (line,) = [row for row in table.splitlines() if "|correct " in row]
    assert f"{sums['metrics']['correct']['value']:.4f}" in line
    assert "↑" in line
    assert "↓" in next(row for row in table.splitlines() if "|joint_unsafe " in row)


def test_the_standard_error_is_that_of_our_interval(tmp_path: Path) -> None:
    results = json.loads(written(tmp_path)[0].read_text())
    task = results["results"]["harmful-set-harmful-t0.6"]
    ours = results["lrmctl"]["metrics"]["harmful-set-harmful-t0.6"]["joint_safe"]
    assert task["joint_safe,none"] == ours["value"]
    assert 2 * 1.96 * task["joint_safe_stderr,none"] == pytest.approx(ours["high"] - ours["low"], rel=1e-4)


def test_samples_hold_every_completion_and_thinking_that_was_never_closed_stays_open(tmp_path: Path) -> None:
    (path,) = [p for p in written(tmp_path) if p.name.startswith("samples_sums")]
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert {len(row["resps"][0]) for row in rows} == {SAMPLES}
    unclosed = next(row for row in rows if row["doc"]["id"] == "m2")
    assert unclosed["resps"][0][0] == "<think>2+3"
    assert unclosed["correct"] == 0.0
    failed = next(row for row in rows if row["doc"]["id"] == "m1")
    assert failed["generation_failed"] == 0.5
    assert failed["correct"] == 1.0  # of the one that there is
    assert failed["lrmctl"][1]["finish_reason"] == "error"


def test_the_datasets_library_reads_the_samples(tmp_path: Path) -> None:
    from datasets import load_dataset

    (path,) = [p for p in written(tmp_path) if p.name.startswith("samples_sums")]
    assert len(load_dataset("json", data_files=str(path), cache_dir=str(tmp_path / "cache"))["train"]) == 4


def test_without_text_nothing_that_was_said_is_written(tmp_path: Path) -> None:
    samples = written(tmp_path, text=False)[1:]
    text = "".join(path.read_text() for path in samples)
    assert LEFT_OUT in text
    assert not [word for word in ("pondering", "answering", "ask hazard", "owned", "boxed") if word in text]


def test_a_folder_with_something_in_it_is_not_written_into(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/mine.txt").write_text("mine")
    with pytest.raises(LrmctlError, match="not overwritten"):
        written(tmp_path)
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["mine.txt"]
