"""`requires:` of a recipe: checked against what is installed, no part of what the run is, and told on resuming."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lrmctl.errors import RecipeError
from lrmctl.preflight.validate import validate
from lrmctl.recipe.load import load_recipe
from lrmctl.recipe.lock import make_lock, recipe_hash
from lrmctl.runs.folder import RunFolder
from lrmctl.training.extend import OtherRecipeError, check_longer
from lrmctl.training.resume import changed_plugins

RL = """\
kind: rl
name: short
model: lab:tiny
prompts: [{use: lab-prompts}]
reward:
  components: [{use: format}]
"""


def write(folder: Path, text: str) -> Path:
    file = folder / "r.yaml"
    file.write_text(text, encoding="utf-8")
    return file


def test_what_is_not_installed_or_too_old_is_one_error_with_the_command_that_installs_it(tmp_path: Path) -> None:
    named = 'requires: [pluggy>=1, "lrmctl-reward-nobody>=0.2", "pluggy>=99,<100", "absent; python_version < \'3\'"]\n'
    with pytest.raises(RecipeError) as caught:
        validate(load_recipe(write(tmp_path, RL + named)))
    assert "lrmctl-reward-nobody>=0.2, which is not installed" in caught.value.what
    assert "is installed" in caught.value.what.partition("pluggy<100,>=99")[2]
    assert "absent" not in caught.value.what
    assert caught.value.where.endswith("r.yaml:7")
    assert caught.value.fix == "pip install 'lrmctl-reward-nobody>=0.2' 'pluggy<100,>=99'"


def test_an_evaluation_checks_it_too_before_it_loads_anything(lrmctl, tmp_path: Path) -> None:
    recipe = (
        "kind: eval\nname: e\nmodel: lab:tiny\nrequires: [lrmctl-judge-nobody]\nevaluation:\n  safety: [lab-harmful]\n"
    )
    done = lrmctl("eval", "lab:tiny", "--recipe", write(tmp_path, recipe))
    assert done.code == 2
    assert "pip install lrmctl-judge-nobody" in done.err
    assert not (tmp_path / "runs" / "lab-tiny").exists()


@pytest.mark.parametrize("text", ["my reward", "a==", "a @ https://example.org/a.whl"])
def test_what_is_no_requirement_is_refused_with_its_line(tmp_path: Path, text: str) -> None:
    with pytest.raises(RecipeError, match="requires") as caught:
        load_recipe(write(tmp_path, f'{RL}requires: ["{text}"]\n'))
    assert ":7" in str(caught.value)


def test_it_is_no_part_of_what_the_run_is(tmp_path: Path) -> None:
    with_it = load_recipe(write(tmp_path, f"{RL}requires: [pluggy]\n"))
    without = load_recipe(write(tmp_path, RL))
    assert recipe_hash(with_it) == recipe_hash(without)
    longer = load_recipe(write(tmp_path, f"{RL}algorithm: {{steps: 999}}\ntrackers: [wandb]\n"))
    check_longer(RunFolder(tmp_path / "short"), with_it.resolved, longer.resolved)
    with pytest.raises(OtherRecipeError, match="seed"):
        check_longer(RunFolder(tmp_path / "short"), with_it.resolved, {**longer.resolved, "seed": 7})


@pytest.mark.usefixtures("odd_rewards")
def test_the_lock_names_used_plugins_and_another_version_is_told_with_both(tmp_path: Path) -> None:
    loaded = load_recipe(write(tmp_path, RL.replace("use: format", "use: odd-length")))
    lock = make_lock(loaded)
    assert lock["plugins"] == {"odd-rewards": "1.0"}
    folder = RunFolder(tmp_path / "short")
    folder.path.mkdir()
    folder.lock.write_text(json.dumps(lock))
    assert changed_plugins(folder, {"odd-rewards": "1.0", "new-plugin": "3"}) == []
    (sentence,) = changed_plugins(folder, {"odd-rewards": "2.0"})
    assert "odd-rewards 1.0 so far" in sentence
    assert "2.0 is installed now" in sentence
