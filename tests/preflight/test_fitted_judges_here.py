"""A recipe that names a classifier which was not fitted yet is told so before it runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from lrmctl.errors import RecipeError
from lrmctl.preflight.validate import validate
from lrmctl.recipe.load import load_recipe

RECIPE = """
kind: eval
name: judged
model: lab:tiny
evaluation:
  safety: [lab-harmful, lab-benign]
  judge: {fitted: {folder: [judges/unsafe, judges/refused]}}
"""


def test_a_judge_that_was_not_fitted_is_a_note_and_one_that_is_damaged_an_error(tmp_path: Path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.chdir(tmp_path)
    Path("recipe.yaml").write_text(RECIPE)
    (note,) = [str(one) for one in validate(load_recipe("recipe.yaml")) if "fitted" in str(one)]
    assert "recipe.yaml:" in note
    assert "there is no fitted judge in judges/unsafe, judges/refused" in note
    for name in ("unsafe", "refused"):
        (tmp_path / "judges" / name).mkdir(parents=True)
        (tmp_path / "judges" / name / "judge.json").write_text("{}")
    with pytest.raises(RecipeError, match="is no manifest of a fitted judge"):
        validate(load_recipe("recipe.yaml"))
