"""Judges against labels of several words: levels of reasoning and kinds of response."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from rubric_server import serving

from lrmctl.errors import LrmctlError
from lrmctl.judges.offline.words import read_word_labels, word_of
from lrmctl.types import Verdict

LEVELS = ("safe", "borderline", "unsafe")


def written(labels: list, name: str = "level") -> str:
    rows = [
        {"prompt": f"q{i}", "thinking": f"So, {label}.", "answer": "x", name: label} for i, label in enumerate(labels)
    ]
    Path("labelled.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return "labelled.jsonl"


def rubric(question: str) -> str:
    """It takes borderline for unsafe, and is right otherwise."""
    said = question.rpartition("So, ")[2].partition(".")[0]
    return f"So.\nlevel: {'unsafe' if said == 'borderline' else said}"


def test_levels_are_measured_by_word(lrmctl):
    file = written([*LEVELS * 2, None])
    with serving(rubric) as engine:
        judge = f"reasoning-rubric: {json.dumps({'model': 'm', 'engine': engine})}"
        words = ["judge", "measure", file, "--label", "word", "--labels-from", "level", "--part", "thinking"]
        found = json.loads(lrmctl(*words, "--judge", judge, "--json").out)["data"]["judges"][0]
        shown = lrmctl(*words, "--judge", judge)
    assert found["accuracy"]["value"] == pytest.approx(4 / 6)
    assert found["confusion"] == {"safe": {"safe": 2}, "borderline": {"unsafe": 2}, "unsafe": {"unsafe": 2}}
    unsafe = found["by_word"][2]
    assert (unsafe["word"], unsafe["said"], unsafe["recall"]["value"], unsafe["precision"]["value"]) == (
        "unsafe",
        4,
        1,
        0.5,
    )
    assert "1 rows without a label left out" in shown.out
    assert shown.code == 0


def test_numbers_are_levels_and_a_judge_without_words_has_two(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert read_word_labels(written([0, 0.5, "1.0"]), "level").labels == LEVELS
    assert read_word_labels(written([0, 2, "1.0"]), "level").labels == ("0", "2", "1.0")
    assert word_of(Verdict("j", "1", "answer", safe=False), LEVELS) == "unsafe"
    assert word_of(Verdict("j", "1", "answer", safe=False), ("comply", "refuse")) is None
    assert word_of(Verdict("j", "1", "answer", labels=("help-line",)), ("comply", "refuse")) == "help-line"
    assert word_of(Verdict("j", "1", "answer", error="down", labels=("safe",)), LEVELS) is None


@pytest.mark.parametrize(("labels", "field", "what"), [
    (["safe", "safe"], "level", "all labels in 'level' are 'safe'"),
    (["safe", "unsafe"], "levels", "no row has a label in 'levels'"),
    (["safe", "unsafe"], "", "nothing says where the words are"),
])  # fmt: skip
def test_labels_that_say_nothing_are_one_error(tmp_path, monkeypatch, labels, field, what):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(LrmctlError, match=what):
        read_word_labels(written(labels), field)


def test_positive_values_do_not_go_with_words(lrmctl):
    said = lrmctl("judge", "measure", written(["comply", "refuse"]), "--label", "word", "--labels-from", "level",
                  "--judge", "stand-in", "--positive", "refuse")  # fmt: skip
    assert (said.code, "words are compared as they are" in said.err) == (2, True)
    fine = lrmctl(
        "judge", "measure", "labelled.jsonl", "--label", "word", "--labels-from", "level", "--judge", "stand-in", "--md"
    )
    assert fine.code == 0
    assert "| comply | 1 |" in fine.out
