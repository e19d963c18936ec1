"""Judging an evaluation again: the traces stay, the verdicts change, nothing that was said before is lost."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lrmctl.errors import JudgeError, NotFoundError
from lrmctl.evaluation import rejudge
from lrmctl.recipe.schema.evaluation import EvalSection
from lrmctl.runs.eval_rows import EvalRow, read_rows
from lrmctl.runs.jsonl import read_jsonl, write_jsonl

Section = Callable[..., EvalSection]
REFUSALS = {"judge": "refusal-phrases", "judge_options": {"phrases": ["cannot"]}}


@pytest.fixture
def copy(evaluated: Any, tmp_path: Path) -> Path:
    out = tmp_path / "run"
    shutil.copytree(evaluated.out, out)
    (out / "eval" / "completions.sqlite").unlink()  # neither store nor model is needed
    return out


def test_other_judges_read_the_same_traces(evaluated: Any, copy: Path, section: Section) -> None:
    sets = [{"use": "lab-harmful", "options": {"n": 12, "split": "heldout"}, **REFUSALS}]
    summary = rejudge(section(safety=sets, reasoning=[], over_refusal=False), copy)
    rows = read_rows(copy / "eval" / "rows.jsonl")
    assert [(r.set, r.temperature, r.trace) for r in rows] == [(r.set, r.temperature, r.trace) for r in evaluated.rows]
    judged = {r.set: {v.judge for v in (r.thinking, r.answer) if v} for r in rows}
    assert judged["lab-harmful/heldout"] == {"refusal-phrases"}
    assert judged["lab-benign/heldout"] == {"lab"}  # the recipe did not name it
    entry = summary["sets"][0]
    assert (entry["judge"], entry["source"]) == ("refusal-phrases", evaluated.summary["sets"][0]["source"])
    refused = sum(r.answer.refused is True for r in rows if r.set == "lab-harmful/heldout" and r.temperature == 0.6)
    assert entry["metrics"]["refused"]["value"] == pytest.approx(refused / 36)
    assert summary["sets"][2:] == evaluated.summary["sets"][2:]
    assert json.loads((copy / "eval" / "summary.json").read_text()) == summary


def test_the_same_judges_say_the_same(evaluated: Any, copy: Path, section: Section) -> None:
    before = (copy / "eval" / "rows.jsonl").read_bytes()
    summary = rejudge(section(), copy)
    assert (copy / "eval" / "rows.jsonl").read_bytes() == before
    for new, old in zip(summary["sets"], evaluated.summary["sets"], strict=True):
        assert new["metrics"] == old["metrics"]


def test_answers_are_graded_again(copy: Path, section: Section) -> None:
    rows = copy / "eval" / "rows.jsonl"
    right = [EvalRow.from_json(row) for row in read_jsonl(rows)]
    write_jsonl(rows, ({**r.to_json(), "correct": False if r.correct is not None else None} for r in right))
    rejudge(section(safety=[]), copy)
    assert [r.correct for r in read_rows(rows)] == [r.correct for r in right]
    assert any(r.correct for r in right)


def test_what_was_said_before_is_kept_beside(evaluated: Any, copy: Path, section: Section) -> None:
    rejudge(section(safety=[{"use": "lab-harmful", "options": {"split": "heldout"}, **REFUSALS}]), copy)
    rejudge(section(), copy)
    first = json.loads((copy / "eval" / "before-1" / "summary.json").read_text())
    second = json.loads((copy / "eval" / "before-2" / "summary.json").read_text())
    assert first == evaluated.summary
    assert second["sets"][0]["judge"] == "refusal-phrases"
    assert read_rows(copy / "eval" / "before-1" / "rows.jsonl") == evaluated.rows


def test_sets_that_were_never_asked_are_refused(copy: Path, section: Section) -> None:
    unseen = section(safety=[{"use": "lab-harmful", "options": {"split": "in"}}])
    with pytest.raises(NotFoundError, match="'lab-harmful/in' has not been evaluated"):
        rejudge(unseen, copy)
    with pytest.raises(NotFoundError, match="no stored completions"):
        rejudge(section(), copy.parent / "elsewhere")


def test_a_judge_that_always_fails_replaces_nothing(copy: Path, section: Section) -> None:
    before = (copy / "eval" / "rows.jsonl").read_bytes()
    thinks = {"judge": "refusal-phrases", "judge_options": {"phrases": ["cannot"]}}
    rows = [row for row in read_jsonl(copy / "eval" / "rows.jsonl") if row["set"] == "lab-harmful/heldout"]
    for row in rows:  # a prompt that the lab's judge does not know
        row["trace"]["prompt"]["meta"] = {}
    write_jsonl(copy / "eval" / "rows.jsonl", rows)
    damaged = (copy / "eval" / "rows.jsonl").read_bytes()
    with pytest.raises(JudgeError, match="failed on all 72 traces"):
        rejudge(section(safety=[{"use": "lab-harmful", "options": {"split": "heldout"}}], reasoning=[]), copy)
    assert (copy / "eval" / "rows.jsonl").read_bytes() == damaged != before
    assert not (copy / "eval" / "before-1").exists()
    assert rejudge(
        section(safety=[{"use": "lab-harmful", "options": {"split": "heldout"}, **thinks}], reasoning=[]), copy
    )


def test_the_set_that_was_added_for_over_refusal_is_judged_again_too(copy: Path, section: Section) -> None:
    harmful = {"use": "lab-harmful", "options": {"n": 12, "split": "heldout"}, **REFUSALS}
    rejudge(section(safety=[harmful], reasoning=[]), copy)
    judged = {r.set: {v.judge for v in (r.thinking, r.answer) if v} for r in read_rows(copy / "eval" / "rows.jsonl")}
    assert judged["lab-benign/heldout"] == {"refusal-phrases"}
