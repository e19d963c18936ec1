"""Every shipped recipe loads, validates, and says what a reader of a table of recipes needs."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from lrmctl.hooks import registry
from lrmctl.planning.gpus import gpu_memory
from lrmctl.preflight.validate import validate
from lrmctl.recipe.extends import read_part
from lrmctl.recipe.find import find_recipe, shipped, shipped_methods, shipped_models
from lrmctl.recipe.load import load_recipe
from lrmctl.recipe.schema.recipes import OfflineRecipe, RlRecipe, SftRecipe

MODELS = ("r1-distill-qwen-1.5b", "r1-distill-qwen-7b", "r1-distill-llama-8b", "qwen3-4b", "qwen3-8b")
EACH = ("sft-star1", "sft-safechain", "sft-direct-refusal", "dpo", "rl-guard", "rl-hybrid", "rft", "rl-guard-dapo")
COMPOSED = [name for name, files in shipped().items() if len(files) > 1]


@pytest.mark.parametrize("name", list(shipped()))
def test_a_shipped_recipe_validates(name):
    loaded = load_recipe(name)
    assert loaded.recipe.description
    validate(loaded)


@pytest.mark.parametrize("model", MODELS)
def test_each_model_has_sft_rl_and_the_control(model):
    assert {f"{model}/{what}" for what in EACH} <= set(shipped())


@pytest.mark.parametrize("name", COMPOSED)
def test_a_real_recipe_names_its_machine_and_its_sources(name):
    recipe = load_recipe(name).recipe
    assert isinstance(recipe, OfflineRecipe | RlRecipe)
    assert gpu_memory(recipe.layout.gpu_type) > 70e9
    files = [file.read_text() for part in shipped()[name] for file in (part, *_parents(part))]
    assert any(re.search(r"arXiv \d{4}\.\d{5}", text) for text in files)
    assert any("our choice" in text for text in files)


def _parents(file: Path) -> list[Path]:
    found = re.search(r"(?m)^extends: (\S+)", file.read_text())
    return [parent := find_recipe(found[1], beside=file)[0], *_parents(parent)] if found else []


def test_a_model_or_method_in_its_folder_is_all_that_a_new_one_needs():
    assert {name.partition("/")[0] for name in COMPOSED} == set(shipped_models()) == set(MODELS)
    assert len(COMPOSED) == len(shipped_models()) * len(shipped_methods())
    for name, file in shipped_models().items():
        assert {"name", "description", "model"} <= set(read_part(file)), name
    for name, file in shipped_methods().items():
        assert read_part(file)["name"] == name
        assert "model" not in read_part(file)


def test_names_of_runs_are_not_shared():
    names = [load_recipe(name).recipe.name for name in shipped()]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("model", MODELS)
def test_the_guard_judges_thinking_and_answer_and_the_benign_prompts_are_there(model):
    recipe = load_recipe(f"{model}/rl-guard").recipe
    assert isinstance(recipe, RlRecipe)
    safe = next(c for c in recipe.reward.components if c.name == "safe")
    assert (safe.part, safe.options["judge"]) == ("whole", "qwen3guard")
    assert {p.use for p in recipe.prompts} == {"star-1", "star-benign", "math", "gsm8k"}


def test_the_control_accepts_by_the_reward_of_rl():
    for model in MODELS:
        rl, control = load_recipe(f"{model}/rl-guard").recipe, load_recipe(f"{model}/rft").recipe
        assert isinstance(rl, RlRecipe)
        assert isinstance(control, SftRecipe)
        assert control.data.rejection is not None
        assert control.data.rejection.reward.components == rl.reward.components


def test_every_word_that_a_recipe_uses_is_built_in():
    from lrmctl.recipe.named_plugins import named_plugins

    for name in shipped():
        assert all(registry.find(n.group, n.name).builtin for n in named_plugins(load_recipe(name)))


def test_listing_all_recipes_loads_nothing_heavy():
    code = "import sys; from lrmctl.cli.app import app; app(['recipe','list'], standalone_mode=False); "
    heavy = "print(','.join(m for m in ('torch','transformers','datasets') if m in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code + heavy], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == ""


@pytest.mark.parametrize(
    "name", [f"{model}/{what}" for model in MODELS for what in ("sft-star1", "sft-star1-lora", "rl-guard")]
)
def test_the_machine_that_a_recipe_names_is_large_enough(name, tmp_path, monkeypatch):
    """By the plan's memory model, with a fifth of each GPU left over; in RL the guard goes there."""
    from lrmctl.training.plan import plan_training

    monkeypatch.delenv("LRMCTL_DATA_DIR", raising=False)
    memory = json.loads(
        json.dumps(plan_training(load_recipe(name), runs_dir=tmp_path, allow_missing=True).to_json(), default=str)
    )["memory"]
    assert memory["verdict"] == "fits"
    assert 1e9 < memory["peak_bytes"] < 0.8 * memory["capacity_bytes"]
