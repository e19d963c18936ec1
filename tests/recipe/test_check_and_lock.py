from __future__ import annotations

import json
from pathlib import Path

import pytest

from lrmctl.errors import RecipeError
from lrmctl.preflight.arms import load_arms
from lrmctl.preflight.validate import validate
from lrmctl.recipe.find import shipped
from lrmctl.recipe.load import load_recipe
from lrmctl.recipe.lock import recipe_hash, write_lock

SFT = """\
kind: sft
name: small
model: lab:tiny
data:
  sources:
    - {use: lab-teacher, options: {n: 4}}
"""


def write(folder: Path, text: str, name: str = "r.yaml") -> Path:
    file = folder / name
    file.write_text(text, encoding="utf-8")
    return file


def test_every_shipped_recipe_names_what_exists() -> None:
    assert shipped()
    for name in shipped():
        validate(load_recipe(name))


def test_names_that_nobody_registers_are_listed_by_line(tmp_path: Path) -> None:
    text = SFT.replace("lab-teacher", "lab-techer") + "backend: {name: openrlfh}\n"
    with pytest.raises(RecipeError) as caught:
        validate(load_recipe(write(tmp_path, text)))
    told = str(caught.value)
    assert "r.yaml:6: data.sources.0.use: there is no source called 'lab-techer'; did you mean 'lab-teacher'?" in told
    assert "r.yaml:7: backend.name:" in told


def test_options_that_a_plugin_does_not_take_are_found_without_running(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"r\.yaml:6.*no option 'm'"):
        validate(load_recipe(write(tmp_path, SFT.replace("n: 4", "m: 4"))))


def test_a_judge_named_inside_a_rewards_options_is_checked() -> None:
    sets = ["reward.components=[{use: judged-safe, options: {judge: labb}}]"]
    with pytest.raises(RecipeError, match="no judge called 'labb'"):
        validate(load_recipe("lab/rl", sets))


def test_an_arm_of_a_study_is_checked_with_its_overrides(tmp_path: Path) -> None:
    write(tmp_path, SFT, "arm.yaml")
    arm = "{name: a, recipe: arm.yaml, set: {train.epochs: 2}}"
    text = "kind: study\nname: s\nbase: 'run:b'\nseed: 5\narms:\n  - ARM\nevaluation: {reasoning: [lab_arithmetic]}\n"
    loaded = load_arms(load_recipe(write(tmp_path, text.replace("ARM", arm), "study.yaml")))["a"]
    resolved = loaded.resolved
    assert (resolved["model"], resolved["seed"], resolved["train"]["epochs"]) == ("run:b", 5, 2)
    for wrong in ("arm.yml", "lab/eval", "arm.yaml, set: {train.epoch: 2}"):
        file = write(tmp_path, text.replace("ARM", f"{{name: a, recipe: {wrong}}}"), "wrong.yaml")
        with pytest.raises(RecipeError, match=r"wrong.yaml:6: arm 'a'"):
            validate(load_recipe(file))


def test_a_lock_holds_the_recipe_its_hash_the_versions_and_the_callers_facts(tmp_path: Path) -> None:
    loaded = load_recipe(write(tmp_path, SFT), ["seed=3"])
    write_lock(tmp_path / "lock.json", loaded, dtype="fp32")
    lock = json.loads((tmp_path / "lock.json").read_text())
    assert lock["recipe"]["seed"] == 3
    assert lock["recipe_sha256"] == recipe_hash(loaded)
    assert lock["versions"]["torch"]
    assert lock["dtype"] == "fp32"
    assert lock["plugins"] == {}
    assert list(tmp_path.glob("*.part")) == []


def test_the_hash_is_of_what_a_recipe_means_and_not_of_how_it_is_spelt(tmp_path: Path) -> None:
    plain = load_recipe(write(tmp_path, SFT, "a.yaml"))
    spelt = load_recipe(write(tmp_path, "# a comment\n" + SFT + "seed: 0\n", "b.yaml"))
    other = load_recipe(write(tmp_path, SFT + "seed: 1\n", "c.yaml"))
    assert recipe_hash(plain) == recipe_hash(spelt) != recipe_hash(other)
