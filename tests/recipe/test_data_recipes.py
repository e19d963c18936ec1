"""The recipes that build data with a real model hold what their comments say."""

from __future__ import annotations

from pathlib import Path

import pytest

from lrmctl.builders.plan import plan_build
from lrmctl.judges.templates.prompts import prompt_text
from lrmctl.recipe.find import shipped
from lrmctl.recipe.load import load_recipe
from lrmctl.recipe.schema.build import THINKSAFE, Distill, Refuse
from lrmctl.recipe.schema.recipes import DataRecipe, RlRecipe

NAMES = [name for name in shipped() if name.startswith("data/")]


def recipe(name: str) -> DataRecipe:
    made = load_recipe(name).recipe
    assert isinstance(made, DataRecipe)
    return made


@pytest.mark.parametrize("name", NAMES)
def test_a_build_is_planned_without_its_data(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LRMCTL_DATA_DIR", raising=False)
    monkeypatch.setenv("LRMCTL_RUNS_HERE", str(tmp_path))
    planned = plan_build(load_recipe(name), runs_dir=tmp_path, allow_missing=True).plan
    assert planned.name == recipe(name).name == name.replace("/", "-")
    assert planned.missing


def test_the_runs_that_builds_start_from_are_shipped_recipes() -> None:
    named = {getattr(recipe(name).build, key, "") for name in NAMES for key in ("of", "thoughts")} - {""}
    assert named == {"run:data-faults", "run:data-replies"} <= {f"run:{recipe(name).name}" for name in NAMES}


def test_thinksafe_samples_and_instructs_as_its_code() -> None:
    made = recipe("data/thinksafe")
    how = made.sampling
    assert (how.temperature, how.top_p, how.top_k, how.max_new_tokens) == (0.6, 0.9, 20, 16384)
    assert isinstance(made.build, Refuse)
    assert (made.build.instruction, made.build.when) == (THINKSAFE, "harmful")
    assert [prompts.use for prompts in made.prompts] == ["safechain"]


def test_the_specification_in_the_prompt_is_the_one_that_the_judge_reads() -> None:
    made = recipe("data/deliberative")
    assert isinstance(made.build, Distill)
    assert made.build.text
    assert made.build.text.startswith(prompt_text("policy").strip())
    assert "policy" not in made.keep.judges[0].judge_options


def test_pass_rates_are_those_of_the_reward_that_rl_trains_on() -> None:
    kept, rl = recipe("data/pass-rate").keep.reward, load_recipe("qwen3-8b/rl-guard").recipe
    assert kept is not None
    assert isinstance(rl, RlRecipe)
    assert kept.components == rl.reward.components
