"""A method on a model: by name, with `--on`, and with a list in `extends:`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from lrmctl.errors import LrmctlError, NotFoundError, RecipeError
from lrmctl.recipe.copy import copy_recipe
from lrmctl.recipe.load import load_recipe
from lrmctl.recipe.lock import make_lock


def write(folder: Path, text: str, name: str = "r.yaml") -> Path:
    file = folder / name
    file.write_text(text, encoding="utf-8")
    return file


def lrmctl(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "lrmctl", *words], cwd=cwd, capture_output=True, text=True)


def test_three_ways_to_compose_are_one_recipe(tmp_path: Path) -> None:
    listed = write(tmp_path, "extends: [methods/rl-guard, models/qwen3-4b]\n")
    named = load_recipe("qwen3-4b/rl-guard")
    assert named.resolved == load_recipe("rl-guard", on="qwen3-4b").resolved == load_recipe(listed).resolved
    assert named.resolved == load_recipe("methods/rl-guard", on="models/qwen3-4b").resolved
    assert (named.recipe.name, named.recipe.description.partition(";")[0]) == ("qwen3-4b-rl-guard", "Qwen3-4B")


def test_each_value_is_placed_in_the_layer_that_says_it() -> None:
    loaded = load_recipe("qwen3-4b/rl-guard", ["seed=3"])
    assert "models/qwen3-4b.yaml:" in loaded.where("optimizer", "zero_stage")
    assert "models/qwen3-4b.yaml:" in loaded.where("model")
    assert "methods/rl-guard.yaml:" in loaded.where("optimizer", "micro_batch_size")
    assert loaded.where("seed") == "--set seed=3"


@pytest.mark.parametrize(
    ("order", "steps", "name"),
    [("[a.yaml, b.yaml]", 5, "b"), ("[b.yaml, a.yaml]", 4, "a"), ("[a.yaml, qwen3-8b/rl-guard]", 200, None)],
)
def test_of_a_list_a_later_one_wins(tmp_path: Path, order: str, steps: int, name: str | None) -> None:
    for one, value in (("a", 4), ("b", 5)):
        write(tmp_path, f"extends: lab/rl\nname: {one}\nalgorithm: {{steps: {value}}}\n", f"{one}.yaml")
    loaded: Any = load_recipe(write(tmp_path, f"extends: {order}\n"))
    assert (loaded.recipe.algorithm.steps, loaded.recipe.name) == (steps, name or "qwen3-8b-rl-guard")


def test_what_a_file_says_itself_wins_over_what_it_extends(tmp_path: Path) -> None:
    text = "extends:\n  - methods/rl-guard\n  - models/qwen3-8b\nname: own\noptimizer: {micro_batch_size: 2}\n"
    loaded: Any = load_recipe(write(tmp_path, text))
    assert (loaded.recipe.name, loaded.recipe.optimizer.micro_batch_size) == ("own", 2)
    assert loaded.where("optimizer", "micro_batch_size").endswith("r.yaml:5")


def test_a_model_of_ones_own_is_one_file(tmp_path: Path) -> None:
    model = write(tmp_path, "name: mine\nmodel: org/mine\noptimizer: {zero_stage: 1}\n", "mine.yaml")
    loaded: Any = load_recipe("sft-star1", on=str(model))
    assert (loaded.recipe.name, loaded.recipe.model) == ("mine-sft-star1", "org/mine")
    assert loaded.where("optimizer", "zero_stage") == f"{model}:3"
    lock = make_lock(loaded)
    assert (lock["recipe"], lock["recipe_on"]) == (loaded.resolved, str(model))
    assert lock["recipe_file"].endswith("methods/sft-star1.yaml")


def test_a_wrong_value_of_a_layer_names_the_layers_line(tmp_path: Path) -> None:
    model = write(tmp_path, "name: mine\nmodel: org/mine\noptimizer: {zero_stag: 1}\n", "mine.yaml")
    with pytest.raises(RecipeError, match=r"mine.yaml:3: optimizer.zero_stag: is not known here; did you mean"):
        load_recipe("sft-star1", on=str(model))


@pytest.mark.parametrize(
    ("ref", "on", "told"),
    [
        ("rl-guard", None, "'rl-guard' is a method and needs a model"),
        ("methods/rl-guard", None, "`rl-guard --on MODEL`; MODEL is one of qwen3-4b, "),
        ("qwen3-8b", None, "'qwen3-8b' is a model and needs a method"),
        ("qwen3-8b/rl-gard", None, "did you mean 'qwen3-8b/rl-guard'?"),
        ("base/rl-guard", None, "'base/rl-guard' is 'methods/rl-guard' now"),
        ("base/sft", None, "'base/sft' is 'methods/sft-star1' now"),
        ("rl-guard", "qwen3-9b", "there is no model 'qwen3-9b', neither a file nor a shipped one"),
        ("rl-gard", "qwen3-8b", "there is no recipe 'rl-gard'"),
        ("qwen3-8b/rl-guard", "qwen3-4b", "names a model already"),
        ("models/qwen3-8b", "qwen3-4b", "is a model and needs a method"),
        ("demo", "qwen3-4b", "models/qwen3-4b.yaml:"),
    ],
)
def test_what_makes_no_recipe_is_told_with_what_would(ref: str, on: str | None, told: str) -> None:
    with pytest.raises(LrmctlError) as caught:
        load_recipe(ref, on=on)
    assert told in str(caught.value)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("extends", "told"),
    [
        ("[]", "r.yaml:2: extends: a file or shipped name, or a list of them"),
        ("[lab/rl, 3]", "r.yaml:2: extends: a file or shipped name, or a list of them"),
        ("\n  - methods/rl-guard\n  - models/qwen3-9b", "r.yaml:4: extends: there is no recipe 'models/qwen3-9b'"),
        ("base/rl-guard", "r.yaml:2: extends: 'base/rl-guard' is 'methods/rl-guard' now"),
        ("methods/rl-guard", "`model:` is missing; write one"),
        ("[lab/rl, r.yaml]", "in a circle"),
    ],
)
def test_a_wrong_list_is_told_with_its_line(tmp_path: Path, extends: str, told: str) -> None:
    with pytest.raises((RecipeError, NotFoundError)) as caught:
        load_recipe(write(tmp_path, f"# own\nextends: {extends}\n"))
    assert told in str(caught.value)


def test_a_copy_of_a_composed_recipe_is_the_same_recipe(tmp_path: Path) -> None:
    copied = copy_recipe("qwen3-8b/rl-guard", tmp_path)
    assert copied.name == "rl-guard.yaml"
    assert "extends: [methods/rl-guard, models/qwen3-8b]" in copied.read_text()
    model = write(tmp_path, "name: mine\nmodel: org/mine\n", "mine.yaml")
    other = copy_recipe("rft", tmp_path / "other.yaml", on=str(model))
    assert load_recipe(copied).resolved == load_recipe("qwen3-8b/rl-guard").resolved
    assert load_recipe(other).resolved == load_recipe("rft", on=str(model)).resolved


def test_a_copied_layer_keeps_its_comments_and_finds_what_it_extends(tmp_path: Path) -> None:
    write(tmp_path, "# why\nextends:  # two\n  - 'methods/rft'\n  - ./small.yaml\nname: own\n", "own.yaml")
    write(tmp_path, "name: small\nmodel: org/small\n", "small.yaml")
    (tmp_path / "far").mkdir()
    copied = copy_recipe(str(tmp_path / "own.yaml"), tmp_path / "far")
    assert load_recipe(copied).resolved == load_recipe(tmp_path / "own.yaml").resolved
    assert copied.read_text().startswith("# why\nextends:  # two\n  - methods/rft\n")
    method = copy_recipe("methods/rl-hybrid", tmp_path / "far" / "mine.yaml")
    assert load_recipe(method, on="qwen3-8b").resolved == load_recipe("qwen3-8b/rl-hybrid").resolved
    assert copy_recipe("models/qwen3-8b", tmp_path).read_text().startswith("#")


def test_the_command_line_composes(tmp_path: Path) -> None:
    shown = lrmctl("recipe", "show", "rl-guard", "--on", "qwen3-8b", "--json", cwd=tmp_path)
    assert json.loads(shown.stdout)["data"] == load_recipe("qwen3-8b/rl-guard").resolved
    planned = lrmctl("train", "sft-star1", "--on", "qwen3-4b", "--dry-run", "--json", cwd=tmp_path)
    assert planned.returncode == 0, planned.stderr
    assert "Qwen/Qwen3-4B" in planned.stdout
    alone = lrmctl("train", "sft-star1", "--dry-run", cwd=tmp_path)
    assert (alone.returncode, "needs a model" in alone.stderr) == (2, True)
