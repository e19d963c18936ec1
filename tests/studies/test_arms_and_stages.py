"""`from:` and `stages:` both say which training starts from which; a shared beginning is trained once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lrmctl.errors import RecipeError
from lrmctl.preflight.arms import ArmRecipes, load_arms
from lrmctl.preflight.validate import validate
from lrmctl.recipe.load import LoadedRecipe, load_recipe
from lrmctl.recipe.schema.study import StudyArm, StudyRecipe

STUDY = """
kind: study
name: mine
{top}
arms:
{arms}
evaluation:
  safety: [lab-harmful, lab-benign]
"""


def study(folder: Path, *arms: str, top: str = "") -> LoadedRecipe:
    file = folder / "study.yaml"
    file.write_text(STUDY.format(arms="\n".join(f"  - {arm}" for arm in arms), top=top))
    return load_recipe(file)


def trainings(loaded: LoadedRecipe) -> dict[str, StudyArm]:
    assert isinstance(loaded.recipe, StudyRecipe)
    return {arm.name: arm for arm in loaded.recipe.trainings}


def starts(loaded: LoadedRecipe) -> dict[str, str]:
    return {name: arm.start for name, arm in trainings(loaded).items()}


def test_an_arm_starts_from_the_base_or_from_another_arm(tmp_path: Path) -> None:
    loaded = study(tmp_path, "{name: sft, recipe: lab/sft-mixed}", "{name: rl, recipe: lab/rl, from: sft}")
    assert starts(loaded) == {"sft": "base", "rl": "sft"}


def test_stages_are_trainings_with_derived_names_of_which_only_the_last_is_evaluated(tmp_path: Path) -> None:
    found = trainings(study(tmp_path, "{name: srr, label: S R R, stages: [lab/sft-mixed, lab/rl, lab/rft]}"))
    assert {name: arm.start for name, arm in found.items()} == {
        "srr.stage-1": "base",
        "srr.stage-2": "srr.stage-1",
        "srr": "srr.stage-2",
    }
    assert [arm.evaluate for arm in found.values()] == [False, False, True]
    assert [arm.intermediate for arm in found.values()] == [True, True, False]
    assert [arm.label for arm in found.values()] == ["S R R, stage 1", "S R R, stage 2", "S R R"]


def test_equal_beginnings_of_arms_are_trained_once(tmp_path: Path) -> None:
    loaded = study(
        tmp_path,
        "{name: a, stages: [lab/sft-mixed, lab/rl]}",
        "{name: b, stages: [lab/sft-mixed, {recipe: lab/rl}, lab/rft]}",
        "{name: c, stages: [{recipe: lab/sft-mixed, set: {train.epochs: 1}}, lab/rl]}",
        "{name: d, stages: [lab/sft-mixed, lab/rft]}",
    )
    assert starts(loaded) == {
        "a.stage-1": "base",
        "a": "a.stage-1",
        "b": "a",
        "c.stage-1": "base",
        "c": "c.stage-1",
        "d": "a.stage-1",
    }


def test_a_beginning_that_is_an_arm_of_its_own_is_that_arm(tmp_path: Path) -> None:
    loaded = study(tmp_path, "{name: sft-rl, stages: [lab/sft-mixed, lab/rl]}", "{name: sft, recipe: lab/sft-mixed}")
    assert starts(loaded) == {"sft-rl": "sft", "sft": "base"}


def test_stages_may_start_from_another_arm(tmp_path: Path) -> None:
    loaded = study(tmp_path, "{name: warm, recipe: lab/sft-mixed}", "{name: a, from: warm, stages: [lab/rl, lab/rft]}")
    assert starts(loaded) == {"warm": "base", "a.stage-1": "warm", "a": "a.stage-1"}


def test_a_start_of_the_study_is_where_the_other_arms_begin(tmp_path: Path) -> None:
    loaded = study(
        tmp_path,
        "{name: pre, recipe: lab/sft-mixed}",
        "{name: warm, recipe: lab/sft-mixed, from: pre}",
        "{name: rl, recipe: lab/rl}",
        "{name: direct, recipe: lab/rl, from: base}",
        "{name: chain, stages: [lab/rft, lab/rl]}",
        top="start: warm",
    )
    assert starts(loaded) == {
        "pre": "base",
        "warm": "pre",
        "rl": "warm",
        "direct": "base",
        "chain.stage-1": "warm",
        "chain": "chain.stage-1",
    }


def test_what_is_evaluated_and_kept_can_be_said_of_each_stage(tmp_path: Path) -> None:
    found = trainings(
        study(
            tmp_path,
            "{name: a, stages: [{recipe: lab/sft-mixed, evaluate: true, keep: false}, lab/rl]}",
            "{name: b, recipe: lab/rft, evaluate: false, keep: false}",
        )
    )
    assert {name: (arm.evaluate, arm.keep) for name, arm in found.items()} == {
        "a.stage-1": (True, False),
        "a": (True, True),
        "b": (False, False),
    }


def test_a_stage_that_several_arms_share_is_evaluated_and_kept_if_one_asks_for_it(tmp_path: Path) -> None:
    found = trainings(
        study(
            tmp_path,
            "{name: a, stages: [{recipe: lab/sft-mixed, keep: false}, lab/rl]}",
            "{name: b, stages: [{recipe: lab/sft-mixed, keep: true, evaluate: true}, lab/rft]}",
        )
    )
    assert (found["a.stage-1"].evaluate, found["a.stage-1"].keep) == (True, True)


@pytest.mark.parametrize(
    ("arms", "said"),
    [
        (["{name: a, recipe: lab/rl, from: b}"], r"study\.yaml:6: arms\.0\.from: there is no arm 'b'"),
        (["{name: a, recipe: lab/rl, from: a}"], r"'a' cannot start from itself"),
        (
            ["{name: a, recipe: lab/rl, from: b}", "{name: b, recipe: lab/rl, from: a}"],
            r"start from each other in a circle: a <- b <- a",
        ),
        (["{name: a, recipe: lab/rl, stages: [lab/rl]}"], "say exactly one of `recipe:`.* and `stages:`"),
        (["{name: a}"], "say exactly one of `recipe:`.* and `stages:`"),
        (["{name: a, stages: [lab/rl], set: {seed: 1}}"], r"arms\.0\.set: has no effect beside `stages:`"),
        (["{name: a, recipe: lab/rl, form: b}"], r"arms\.0\.form: is not known here; did you mean 'from'"),
        (
            ["{name: a, stages: [lab/rl, lab/rft]}", "{name: a.stage-1, recipe: lab/sft-mixed}"],
            "would be called 'a.stage-1', which is taken",
        ),
    ],
)
def test_what_cannot_be_is_refused_at_its_line(tmp_path: Path, arms: list[str], said: str) -> None:
    with pytest.raises(RecipeError, match=said):
        study(tmp_path, *arms)


def test_an_unknown_start_of_the_study_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="start: there is no arm 'wram'; did you mean 'warm'"):
        study(tmp_path, "{name: warm, recipe: lab/sft-mixed}", top="start: wram")


def test_a_resolved_study_loads_again_as_the_same(tmp_path: Path) -> None:
    loaded = study(tmp_path, "{name: a, recipe: lab/sft-mixed}", "{name: b, stages: [lab/rl], from: a}")
    assert loaded.resolved["arms"][1]["from"] == "a"
    assert StudyRecipe.model_validate(loaded.resolved) == loaded.recipe


def test_a_model_in_a_stage_is_refused_and_a_stages_problem_names_its_line(tmp_path: Path) -> None:
    file = tmp_path / "study.yaml"
    stages = "\n      - lab/sft-mixed\n      - {recipe: lab/rl, set: {model: run:x}}"
    file.write_text(STUDY.format(top="", arms=f"  - name: a\n    stages:{stages}"))
    with pytest.raises(RecipeError, match=r"study\.yaml:9: arm 'a': `set: \{model: run:x\}` has no effect"):
        validate(load_recipe(file))


def test_a_recipe_of_another_model_is_told_which_arm_it_starts_from(tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text("extends: lab/rl\nname: own\nmodel: run:earlier\n")
    loaded = study(tmp_path, "{name: sft, recipe: lab/sft-mixed}", "{name: rl, recipe: own.yaml, from: sft}")
    notes = [str(note) for note in validate(loaded)]
    assert any("its recipe is of run:earlier; in this study it starts from the arm sft" in note for note in notes)


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("lab:tiny", "lab-tiny"),
        ("Qwen/Qwen3-8B", "Qwen3-8B"),
        ("run:mine", "run-mine"),
        ("run:study/arm", "arm"),
        ("/models/my model/", "my-model"),
        ("../..", "model"),
    ],
)
def test_a_base_is_named_after_its_model(tmp_path: Path, model: str, name: str) -> None:
    loaded = study(tmp_path, "{name: a, recipe: lab/rl}", top=f"bases: ['{model}']")
    assert isinstance(loaded.recipe, StudyRecipe)
    assert loaded.recipe.every_base[0].folder == name


@pytest.mark.parametrize(
    ("top", "said"),
    [
        ("base: run:x\nbases: [run:y]", "say exactly one of `base:` and `bases:`"),
        ("bases: [a/tiny, b/Tiny]", "two bases are called 'Tiny'"),
        ("seeds: [1, 1]", "a seed is listed twice"),
        ("bases: [{model: a, set: {seed: 3}}]", "a base does not set its arms' seed"),
        ("bases: [{model: a, set: {model: b}}]", "a base does not set its arms' model"),
    ],
)
def test_bases_and_seeds_that_contradict_themselves_are_refused(tmp_path: Path, top: str, said: str) -> None:
    with pytest.raises(RecipeError, match=said):
        study(tmp_path, "{name: a, recipe: lab/rl}", top=top)


def test_a_cells_recipe_has_its_base_its_seed_and_all_overrides(tmp_path: Path) -> None:
    top = "bases: [lab:tiny, {name: big, model: run:x, set: {train.epochs: 2, optimizer.learning_rate: 1.0e-5}}]"
    loaded = study(
        tmp_path, "{name: a, recipe: lab/sft-mixed, set: {train.epochs: 1}}", top=f"{top}\nseeds: [3, 4]\nseed: 7"
    )
    assert isinstance(loaded.recipe, StudyRecipe)
    recipes = ArmRecipes(loaded)
    small, big = loaded.recipe.every_base
    one: Any = recipes.of(small, 3)["a"].recipe
    two: Any = recipes.of(big, 4)["a"].recipe
    assert (one.model, one.seed, one.train.epochs) == ("lab:tiny", 3, 1)
    assert (two.model, two.seed, two.train.epochs, two.optimizer.learning_rate) == ("run:x", 4, 2, 1e-5)
    assert load_arms(loaded)["a"].recipe == one


def test_a_seed_of_an_arm_has_no_place_beside_the_studys_seeds(tmp_path: Path) -> None:
    loaded = study(tmp_path, "{name: a, recipe: lab/sft-mixed, set: {seed: 1}}", top="seeds: [3, 4]")
    with pytest.raises(RecipeError, match="has no effect: the training seeds are the study's"):
        load_arms(loaded)


def test_an_evaluation_that_a_base_cannot_set_is_refused(tmp_path: Path) -> None:
    loaded = study(tmp_path, "{name: a, recipe: lab/rl}", top="bases: [{model: 'lab:tiny', evaluation: {sampels: 3}}]")
    with pytest.raises(RecipeError, match="sampels"):
        validate(loaded)
