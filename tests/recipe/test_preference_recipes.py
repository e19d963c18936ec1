"""Preference recipes: what they say, what they refuse, and where a source of pairs comes from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from training_recipes import PREFERENCE, merged

from lrmctl.errors import RecipeError
from lrmctl.preflight.arms import load_arms
from lrmctl.preflight.validate import validate
from lrmctl.recipe.load import LoadedRecipe, load_recipe
from lrmctl.recipe.schema.preference import PreferenceRecipe
from lrmctl.studies.resources import use_of_training
from lrmctl.training.plan import plan_training


def recipe(folder: Path, **changes: Any) -> LoadedRecipe:
    file = folder / "preference.yaml"
    file.write_text(yaml.safe_dump(merged(PREFERENCE, {k.replace("__", "."): v for k, v in changes.items()})))
    return load_recipe(file)


def test_the_defaults_are_dpos() -> None:
    made = PreferenceRecipe.model_validate({**PREFERENCE, "train": {}})
    assert (made.preference.loss, made.preference.beta, made.preference.label_smoothing) == ("dpo", 0.1, 0.0)
    assert (made.preference.nll_weight, made.train.epochs) == (0.0, 1)


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"preference__loss": "kto"}, "preference.loss: .*'dpo' or 'ipo'"),
        ({"preference__beta": 0}, "preference.beta: .*greater than 0"),
        ({"preference__label_smoothing": 0.5}, "preference.label_smoothing: .*less than 0.5"),
        (
            {"preference__loss": "ipo", "preference__label_smoothing": 0.1},
            "preference.label_smoothing: only dpo has label smoothing",
        ),
        ({"preference__reference_free": True}, "preference.reference_free: is not known here"),
        ({"data__sources": []}, "data.sources: .*at least 1"),
        ({"data__rejection": {}}, "data.rejection: is not known here"),
        ({"data__sources": [{"from": "run:a", "use": "lab-pairs"}]}, "from: run:NAME` or `use: NAME`, not both"),
        ({"data__sources": [{"use": "lab-pairs", "weight": 1}, {"use": "lab-pairs"}]}, "has no weight and others have"),
    ],
)
def test_what_is_wrong_is_said_with_its_key(tmp_path: Path, changes: dict[str, Any], what: str) -> None:
    with pytest.raises(RecipeError, match=what):
        recipe(tmp_path, **changes)


def test_from_a_run_is_a_source_with_options(tmp_path: Path) -> None:
    loaded = recipe(tmp_path, data__sources=[{"from": "run:before", "min_gap": 0.5, "weight": 2.0}])
    assert isinstance(loaded.recipe, PreferenceRecipe)
    (source,) = loaded.recipe.data.sources
    assert (source.use, source.options, source.weight) == ("rollout-pairs", {"run": "run:before", "min_gap": 0.5}, 2.0)
    again = PreferenceRecipe.model_validate(loaded.resolved)
    assert again == loaded.recipe


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"optimizer__dynamic_batch_tokens": 100, "optimizer__packing": True}, "no batching by tokens"),
        ({"layout__placement": "separate"}, "this is about RL's roles"),
        ({"train__eval_every": 2}, "no rows are held back"),
        ({"optimizer__micro_batch_size": 5}, "16 pairs a step cannot be"),
        ({"backend__flags": {"model.beta": 0.2}}, "say it in the recipe: preference.beta"),
        ({"backend__flags": {"ref.model_name_or_path": "x"}}, "the reference is the model that the run starts from"),
        ({"backend__flags": {"ipo": True}}, "model.ipo_enable"),
        ({"backend__flags": {"model.reference_free": True}}, "no flag 'model.reference_free'"),
        ({"data__sources": [{"use": "lab-teacher"}]}, None),
        ({"data__sources": [{"use": "lab-pairs", "options": {"variant": "odd"}}]}, None),
    ],
)
def test_validation_finds_what_openrlhf_cannot_do(tmp_path: Path, changes: dict[str, Any], what: str | None) -> None:
    loaded = recipe(tmp_path, **changes)
    if what is None:
        with pytest.raises(RecipeError):
            plan_training(loaded, runs_dir=tmp_path)
        return
    with pytest.raises(RecipeError, match=what):
        validate(loaded)


def test_a_file_of_pairs_is_read_when_the_recipe_is_validated(tmp_path: Path) -> None:
    file = tmp_path / "pairs.jsonl"
    file.write_text('{"kind": "benign", "prompt": "p", "chosen": "<think>t</think>a"}\n')
    with pytest.raises(RecipeError, match=r"no rejected response .*pairs\.jsonl:1\)") as caught:
        validate(recipe(tmp_path, data__sources=[{"use": "jsonl", "options": {"path": "pairs.jsonl"}}]))
    assert "give `chosen` and `rejected`" in str(caught.value)


def test_a_plan_counts_pairs_and_holds_some_back(tmp_path: Path) -> None:
    plan = plan_training(recipe(tmp_path, data__eval_rows=0.25, preference__nll_weight=0.2), runs_dir=tmp_path)
    assert plan.inputs.rows is not None
    rows = plan.inputs.rows.rows
    assert all(set(row) == {"prompt", "chosen", "rejected"} for row in rows)
    assert {row["prompt"] for row in rows}.isdisjoint(row["prompt"] for row in plan.inputs.rows.eval_rows)
    steps = plan.summary.derived.steps
    assert steps == plan.backend_plan.estimates["steps"] == len(rows) // 8 * 8 // 16 * 2
    assert plan.summary.memory is not None
    items = {(item.role, item.what) for item in plan.summary.memory.groups[0].peak.figures}
    assert ("reference", "weights") in items


def test_rows_that_are_too_few_for_a_step_are_refused(tmp_path: Path) -> None:
    few = recipe(tmp_path, data__sources=[{"use": "lab-pairs", "options": {"n": 9}}], train__epochs=4)
    with pytest.raises(RecipeError, match="9 pairs are less than one step of 16"):
        plan_training(few, runs_dir=tmp_path)
    assert not (tmp_path / "tiny-preference").exists()


def test_a_study_takes_a_preference_arm(tmp_path: Path) -> None:
    study = tmp_path / "study.yaml"
    arms = [{"name": "sft", "recipe": "lab/sft-mixed"}, {"name": "dpo", "recipe": "lab/dpo", "from": "sft"}]
    evaluation = {"safety": ["lab-harmful", "lab-benign"]}
    study.write_text(yaml.safe_dump({"kind": "study", "name": "s", "arms": arms, "evaluation": evaluation}))
    loaded = load_recipe(study)
    found = load_arms(loaded)["dpo"].recipe
    assert isinstance(found, PreferenceRecipe)
    assert use_of_training(found).gpus == 1
    validate(loaded)
