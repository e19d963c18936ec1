"""A study's folder belongs to one recipe; one that an older version began is still the same study."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lrmctl.errors import RecipeError, RunExistsError
from lrmctl.recipe.load import LoadedRecipe, load_recipe
from lrmctl.runs.study_cells import read_cells
from lrmctl.studies.run import _claim, run_study

STUDY = """
kind: study
name: mine
arms:
  - {name: a, recipe: lab/sft-mixed}
evaluation:
  safety: [lab-harmful, lab-benign]
"""


def study(folder: Path, text: str = STUDY) -> LoadedRecipe:
    (folder / "study.yaml").write_text(text)
    return load_recipe(folder / "study.yaml")


def test_a_study_begun_before_bases_and_seeds_goes_on(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    _claim(folder, study(tmp_path), rebuild_base=False)
    before = json.loads((folder / "study.json").read_text())
    del before["cells"]
    for key in ("bases", "seeds", "start"):
        del before["recipe"][key]
    for key in ("from", "stages", "evaluate", "keep"):
        del before["recipe"]["arms"][0][key]
    (folder / "study.json").write_text(json.dumps(before))
    assert [cell.path for cell in read_cells(folder)] == ["base", "a"]
    _claim(folder, study(tmp_path), rebuild_base=False)
    assert [cell.path for cell in read_cells(folder)] == ["base", "a"]


@pytest.mark.parametrize("change", ["seeds: [1]", "start: a", "bases: [run:x]", "seed: 4"])
def test_another_recipe_is_another_study(tmp_path: Path, change: str) -> None:
    folder = tmp_path / "mine"
    _claim(folder, study(tmp_path), rebuild_base=False)
    with pytest.raises(RunExistsError, match="holds another study"):
        _claim(folder, study(tmp_path, STUDY + change + "\n"), rebuild_base=False)


def test_one_seed_keeps_the_layout_of_one_base(tmp_path: Path) -> None:
    _claim(tmp_path / "mine", study(tmp_path, STUDY + "seeds: [3]\n"), rebuild_base=False)
    assert [(cell.path, cell.seed) for cell in read_cells(tmp_path / "mine")] == [("base", None), ("a", 3)]


def test_only_a_study_of_one_base_can_rebuild_it(tmp_path: Path) -> None:
    loaded = study(tmp_path, STUDY + "bases: [lab:tiny, run:x]\n")
    with pytest.raises(RecipeError, match="only a study of one base can rebuild it"):
        run_study(loaded, runs_dir=tmp_path / "runs", rebuild_base=True)
    assert not (tmp_path / "runs").exists()
