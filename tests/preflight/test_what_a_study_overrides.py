"""What a study sets in its arms' recipes is joined, refused or told; nothing that someone wrote is lost silently."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lrmctl.errors import RecipeError
from lrmctl.preflight.arms import load_arms
from lrmctl.preflight.validate import validate
from lrmctl.recipe.load import LoadedRecipe, load_recipe

STUDY = """
kind: study
name: mine
{top}
arms:
  - {{name: a, recipe: {recipe}, set: {set}}}
evaluation:
  safety: [lab-harmful, lab-benign]
"""


def study(
    folder: Path, *, recipe: str = "lab/sft-harmful", set: str = "{}", top: str = "base: lab:tiny"
) -> LoadedRecipe:
    file = folder / "study.yaml"
    file.write_text(STUDY.format(recipe=recipe, set=set, top=top))
    return load_recipe(file)


def arm(loaded: LoadedRecipe) -> Any:
    return load_arms(loaded)["a"].recipe


def test_a_model_of_an_arms_own_is_refused_and_names_the_line(tmp_path: Path) -> None:
    loaded = study(tmp_path, set="{model: run:x}")
    with pytest.raises(RecipeError, match=r"study\.yaml:6: arm 'a': `set: \{model: run:x\}` has no effect") as error:
        validate(loaded)
    assert "base:" in str(error.value)


def test_a_recipe_of_another_model_is_told_of(tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text("extends: lab/sft-harmful\nname: own\nmodel: run:earlier\n")
    (note,) = validate(study(tmp_path, recipe="own.yaml"))
    assert "its recipe is of run:earlier; in this study it starts from the base, lab:tiny" in str(note)
    assert validate(study(tmp_path)) == []


@pytest.mark.parametrize(
    ("set", "kept"),
    [
        ("{data: {sources: [{use: lab-teacher, options: {n: 8}}]}}", {"data.max_len": 256}),
        ("{optimizer: {learning_rate: 2.0e-3}}", {"optimizer.schedule": "cosine", "optimizer.warmup_ratio": 0.1}),
        ("{train: {epochs: 1}}", {"train.batch_size": 16}),
        ("{data: {max_len: 128}, train.epochs: 1}", {"train.batch_size": 16}),
    ],
)
def test_a_section_that_is_set_keeps_its_other_keys(tmp_path: Path, set: str, kept: dict[str, object]) -> None:
    made = arm(study(tmp_path, set=set))
    for path, wanted in kept.items():
        section, key = path.split(".")
        assert getattr(getattr(made, section), key) == wanted


def test_set_on_the_command_line_joins_a_section_too() -> None:
    made: Any = load_recipe("lab/rl", ["algorithm={steps: 3, kl: {coef: 0.1}}"]).recipe
    assert (made.algorithm.steps, made.algorithm.kl.coef, made.algorithm.prompts_per_step) == (3, 0.1, 16)
    emptied: Any = load_recipe("lab/rl", ["reward.components.0.options={judge: lab}"]).recipe
    assert emptied.reward.components[0].options == {"judge": "lab", "partial": 0.3}


def test_a_seed_of_the_recipe_is_kept_where_the_study_names_none(tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text("extends: lab/sft-harmful\nname: own\nseed: 5\n")
    assert arm(study(tmp_path, recipe="own.yaml")).seed == 5
    assert arm(study(tmp_path, top="seed: 3")).seed == 3
    assert arm(study(tmp_path, recipe="own.yaml", top="seed: 3", set="{seed: 7}")).seed == 7
    with pytest.raises(RecipeError, match="its recipe says seed 5 and the study says 3"):
        arm(study(tmp_path, recipe="own.yaml", top="seed: 3"))
