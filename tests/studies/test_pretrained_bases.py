"""Bases of the lab that a study pretrains: once, several at a time, and named by architecture and seed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from study_stages import noted_pretraining

from lrmctl.errors import RecipeError
from lrmctl.recipe.load import load_recipe
from lrmctl.recipe.schema.study import StudyRecipe
from lrmctl.studies.pretrain import pretrain_bases
from lrmctl.studies.stages import StudyEvent

STUDY = """
kind: study
name: mine
bases:
  - lab:tiny
  - pretrain: {{architecture: qwen3, seed: {seed}}}
  - {{name: mine, pretrain: {{seed: 2}}}}
arms:
  - {{name: a, recipe: lab/sft-mixed}}
evaluation:
  safety: [lab-harmful, lab-benign]
"""


def study(folder: Path, text: str = STUDY, seed: int = 1) -> StudyRecipe:
    (folder / "study.yaml").write_text(text.format(seed=seed))
    recipe = load_recipe(folder / "study.yaml").recipe
    assert isinstance(recipe, StudyRecipe)
    return recipe


def test_bases_are_named_and_pretrained_once(tmp_path: Path) -> None:
    told: list[StudyEvent] = []
    recipe = study(tmp_path)
    assert [base.folder for base in recipe.every_base] == ["lab-tiny", "qwen3-1", "mine"]
    found = pretrain_bases(recipe, tmp_path, False, told.append, noted_pretraining)
    assert found == {name: tmp_path / name / "base" / "model" for name in ("qwen3-1", "mine")}
    made = [json.loads((folder / "manifest.json").read_text()) for folder in found.values()]
    assert [(m["seed"], m["architecture"]) for m in made] == [(1, "qwen3"), (2, "llama")]
    assert {(e.arm, e.state) for e in told} == {
        (f"{name}/base", state) for name in ("qwen3-1", "mine") for state in ("start", "progress", "done")
    }
    told.clear()
    assert pretrain_bases(recipe, tmp_path, False, told.append, noted_pretraining) == found
    assert [event.state for event in told] == ["kept", "kept"]


def test_one_that_did_not_pass_the_gate_is_made_again(tmp_path: Path) -> None:
    told: list[StudyEvent] = []
    for _ in range(2):
        told.clear()
        pretrain_bases(study(tmp_path, seed=7), tmp_path, False, told.append, noted_pretraining)
    assert {event.arm: event.state for event in told} == {"qwen3-7/base": "done", "mine/base": "kept"}


def test_one_that_fails_ends_it_after_the_others(tmp_path: Path) -> None:
    recipe = study(tmp_path, seed=13)
    with pytest.raises(RuntimeError, match="no base"):
        pretrain_bases(recipe, tmp_path, False, lambda _: None, noted_pretraining)
    assert (tmp_path / "mine" / "base" / "model" / "manifest.json").exists()


@pytest.mark.parametrize(
    ("base", "why"),
    [
        ("{{model: run:x, pretrain: {{}}}}", "exactly one of `model:` and `pretrain:`"),
        ("{{name: x}}", "say `model:`, or `pretrain:`"),
        ("{{pretrain: {{architecture: gpt2}}}}", "llama"),
    ],
)
def test_a_base_says_one_thing(tmp_path: Path, base: str, why: str) -> None:
    with pytest.raises(RecipeError, match=why):
        study(tmp_path, STUDY.replace("lab:tiny", base))
