"""`lrmctl compare STUDY`: what each arm changes over all bases and training seeds."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from grid_study import grid_study

from lrmctl.comparison import compare_across
from lrmctl.runs.study_cells import StudyCell, write_cells

if TYPE_CHECKING:
    from conftest import Lrmctl


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return grid_study(tmp_path_factory.mktemp("runs") / "grid", tmp_path_factory.mktemp("made"))


def test_every_form_holds_every_difference(lrmctl: Lrmctl, study: Path) -> None:
    def said(*words: str) -> str:
        told = lrmctl("compare", "grid", "--runs-dir", str(study.parent), *words)
        assert told.code == 0, told.err
        return str(told.out)

    deltas = compare_across(study).deltas
    shown = said()
    assert "SFT-MIXED against the base: " in shown
    assert "left out: y/seed-1/rl: no <memory>" in shown
    assert [one["arm"] for one in json.loads(said("--json"))["data"]["deltas"]] == [delta.arm for delta in deltas]
    assert len(list(csv.reader(said("--csv").splitlines()))) == len(deltas) + 1
    assert said("--md").count("\n") == len(deltas) + 2


def test_a_study_without_evaluations_cannot_be_compared_yet(lrmctl: Lrmctl, tmp_path: Path) -> None:
    cells = [StudyCell("x", None, "base", "base"), StudyCell("x", None, "rl", "rl")]
    write_cells(tmp_path / "new", {"recipe": {"name": "new"}, "rebuild_base": False}, cells)
    told = lrmctl("compare", str(tmp_path / "new"))
    assert told.code == 2
    assert "nothing can be compared" in told.err


def test_one_run_that_is_no_study_has_nothing_to_be_compared_with(lrmctl: Lrmctl, tmp_path: Path) -> None:
    told = lrmctl("compare", str(tmp_path))
    assert told.code == 2
    assert "there is nothing to compare it with" in told.err
