from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from lrmctl.errors import NotFoundError, RecipeError
from lrmctl.recipe.copy import copy_recipe
from lrmctl.recipe.find import shipped
from lrmctl.recipe.load import LoadedRecipe, load_recipe
from lrmctl.recipe.schema.recipes import RlRecipe

RL = """\
kind: rl
name: small
model: lab:tiny
prompts:
  - use: lab-prompts
    options: {n: 4}
reward:
  components:
    - {use: format}
algorithm:
  steps: 3
"""


def write(folder: Path, text: str, name: str = "r.yaml") -> Path:
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    return file


def fails(file: Path, *sets: str) -> str:
    with pytest.raises(RecipeError) as caught:
        load_recipe(file, sets)
    return str(caught.value)


def rl(loaded: LoadedRecipe) -> RlRecipe:
    assert isinstance(loaded.recipe, RlRecipe)
    return loaded.recipe


def test_a_recipe_loads_with_its_defaults_resolved(tmp_path: Path) -> None:
    loaded = load_recipe(write(tmp_path, RL))
    assert rl(loaded).algorithm.steps == 3
    assert loaded.resolved["algorithm"]["samples_per_prompt"] == 8
    assert loaded.where("algorithm", "steps").endswith("r.yaml:11")


def test_every_shipped_recipe_loads_and_its_resolved_form_is_the_same_recipe() -> None:
    assert {"demo", "lab/rl", "lab/eval"} <= set(shipped())
    for name in shipped():
        recipe = load_recipe(name).recipe
        assert type(recipe).model_validate(recipe.model_dump(mode="json")) == recipe


def test_an_unknown_key_is_named_by_file_and_line_with_a_suggestion(tmp_path: Path) -> None:
    file = write(tmp_path, RL + "rollout: {max_tokens: 3}\n")
    assert fails(file).startswith(f"{file}:12: rollout.max_tokens: is not known here; did you mean 'max_new_tokens'?")


def test_all_problems_are_listed_in_one_error(tmp_path: Path) -> None:
    text = RL.replace("{use: format}", "{use: format, wieght: 2, part: answr}").replace("steps: 3", "steps: three")
    told = fails(write(tmp_path, text))
    assert "3 problems" in told
    assert "r.yaml:9: reward.components.0.wieght: is not known here; did you mean 'weight'?" in told
    assert "r.yaml:9: reward.components.0.part:" in told
    assert "not 'answr'" in told
    assert "r.yaml:11: algorithm.steps:" in told


def test_a_missing_key_is_named_where_it_belongs(tmp_path: Path) -> None:
    told = fails(write(tmp_path, RL.replace("model: lab:tiny\n", "")))
    assert "`model:` is missing" in told


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("name: x\n", "`kind:` is missing"),
        ("kind: rll\n", "did you mean 'rl'?"),
        ("kind: [rl]\n", "is not a kind of recipe"),
        ("", "a recipe is a mapping"),
        ("- a\n", "a recipe is a mapping"),
        ("kind: rl\nname: a\nname: b\n", "r.yaml:3: 'name' is already said in line 2"),
        ("kind: rl\n  name: a\n", "r.yaml:2"),
        ("kind: [rl\n", "r.yaml:2"),
        ("a: !!python/object/apply:os.system [ls]\n", "is not plain data"),
        ("a: &x [*x]\n", "nested too deeply"),
        ("? [a, b]\n: c\n", "a key must be a word"),
        ("seed: .nan\n", "not a finite number"),
        ("seed: " + "9" * 5000 + "\n", "r.yaml:1"),
        ("\x01", "is not YAML"),
        ("[" * 5000, "nested too deeply"),
    ],
)
def test_what_is_not_a_recipe_is_refused_with_its_place(tmp_path: Path, text: str, told: str) -> None:
    assert told in fails(write(tmp_path, text))


def test_aliases_of_aliases_do_not_fill_the_memory(tmp_path: Path) -> None:
    lines = ["a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 12)]
    assert "too many values" in fails(write(tmp_path, "\n".join(lines)))


def test_a_file_that_is_not_text_is_one_clear_error(tmp_path: Path) -> None:
    file = tmp_path / "r.yaml"
    file.write_bytes(b"\xff\xfe\x00kind")
    assert "is not UTF-8 text" in fails(file)


def test_numbers_and_words_are_typed_as_yaml_1_2_does(tmp_path: Path) -> None:
    options = "{a: 1e-6, b: no, c: 2024-01-01, d: 010, e: 1:30, f: 0x10, g: true, h: ~}"
    loaded = load_recipe(write(tmp_path, RL.replace("{n: 4}", options)))
    expected = {"a": 1e-6, "b": "no", "c": "2024-01-01", "d": "010", "e": "1:30", "f": 16, "g": True, "h": None}
    assert rl(loaded).prompts[0].options == expected


def test_extends_merges_deeply_and_every_value_keeps_its_own_place(tmp_path: Path) -> None:
    write(tmp_path, RL, "base.yaml")
    child = write(tmp_path, "extends: base.yaml\nalgorithm: {prompts_per_step: 2}\n", "sub/../child.yaml")
    loaded = load_recipe(child)
    assert (rl(loaded).algorithm.steps, rl(loaded).algorithm.prompts_per_step) == (3, 2)
    assert loaded.where("algorithm", "steps").endswith("base.yaml:11")
    assert loaded.where("algorithm", "prompts_per_step").endswith("child.yaml:2")


def test_a_list_that_extends_replaces(tmp_path: Path) -> None:
    write(tmp_path, RL, "base.yaml")
    child = write(tmp_path, "extends: base.yaml\nprompts: [{use: jsonl}]\n", "child.yaml")
    assert [p.use for p in rl(load_recipe(child)).prompts] == ["jsonl"]


def test_extends_finds_shipped_recipes(tmp_path: Path) -> None:
    child = write(tmp_path, "extends: lab/rl\nalgorithm: {steps: 2}\n")
    assert rl(load_recipe(child)).algorithm.steps == 2


def test_extending_in_a_circle_or_from_nowhere_is_refused(tmp_path: Path) -> None:
    write(tmp_path, "extends: b.yaml\n", "a.yaml")
    file = write(tmp_path, "extends: a.yaml\n", "b.yaml")
    assert "in a circle" in fails(file)
    lost = write(tmp_path, "\nextends: demoo\n", "lost.yaml")
    with pytest.raises(NotFoundError, match=r"lost.yaml:2: extends: there is no recipe 'demoo'"):
        load_recipe(lost)


def test_set_overrides_with_typed_values_and_list_indices(tmp_path: Path) -> None:
    sets = [
        "algorithm.steps=7",
        "reward.components.0.name=shape",
        "rollout.temperature=0.5",
        "prompts.0.options={n: 9}",
    ]
    recipe = rl(load_recipe(write(tmp_path, RL), sets))
    assert recipe.algorithm.steps == 7
    assert recipe.reward.components[0].name == "shape"
    assert recipe.rollout.temperature == 0.5
    assert recipe.prompts[0].options == {"n": 9}


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("algorithm.stepps=1", "--set algorithm.stepps=1: algorithm.stepps: is not known here; did you mean 'steps'?"),
        ("seed=x", "--set seed=x: seed:"),
        ("seed", "is not an override"),
        ("=3", "is not an override"),
        ("prompts.4.use=x", "is not an index of a list of 1"),
        ("prompts.use=x", "is not an index"),
        ("a..b=3", "is not a key"),
        ("seed=[1", "--set seed=[1"),
    ],
)
def test_a_wrong_override_is_named_as_it_was_typed(tmp_path: Path, override: str, told: str) -> None:
    assert told in fails(write(tmp_path, RL), override)


def test_files_in_options_lie_beside_the_recipe_that_names_them(tmp_path: Path) -> None:
    data = write(tmp_path, "{}\n", "shelf/rows.jsonl")
    write(tmp_path, RL.replace("lab-prompts", "jsonl").replace("{n: 4}", "{path: rows.jsonl}"), "shelf/base.yaml")
    child = write(tmp_path, "extends: shelf/base.yaml\n", "child.yaml")
    assert rl(load_recipe(child)).prompts[0].options == {"path": str(data)}


def test_an_option_that_is_no_file_stays_as_written(tmp_path: Path) -> None:
    file = write(tmp_path, RL.replace("lab-prompts", "hub").replace("{n: 4}", "{path: owner/name}"))
    assert rl(load_recipe(file)).prompts[0].options == {"path": "owner/name"}


def test_an_existing_file_comes_before_a_shipped_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, RL, "demo")
    assert load_recipe("demo").recipe.kind == "study"
    monkeypatch.chdir(tmp_path)
    assert load_recipe("demo").recipe.kind == "rl"


@pytest.mark.parametrize("ref", ["lab/rll", "nowhere.yaml", "a\0b", "x" * 5000])
def test_a_recipe_that_does_not_exist_is_one_error(ref: str) -> None:
    with pytest.raises(NotFoundError, match="neither a file nor a shipped one"):
        load_recipe(ref)


def test_override_checks_again_and_leaves_the_original(tmp_path: Path) -> None:
    loaded = load_recipe(write(tmp_path, RL))
    other = loaded.override({"model": "run:base", "algorithm.steps": 9})
    assert (rl(other).model, rl(other).algorithm.steps) == ("run:base", 9)
    assert (rl(loaded).model, rl(loaded).algorithm.steps) == ("lab:tiny", 3)
    with pytest.raises(RecipeError, match=r"arm 1 algorithm\.steps"):
        loaded.override({"algorithm.steps": 0}, "arm 1")


def test_a_loaded_recipe_reaches_another_process_whole(tmp_path: Path) -> None:
    loaded = load_recipe(write(tmp_path, RL), ["seed=3"])
    again = pickle.loads(pickle.dumps(loaded))
    assert again == loaded
    assert again.where("algorithm", "steps") == loaded.where("algorithm", "steps")


def test_a_copied_recipe_loads_from_anywhere_and_is_never_overwritten(tmp_path: Path) -> None:
    copied = copy_recipe("lab/rl-kl", tmp_path / "mine.yaml")
    assert load_recipe(copied).resolved == load_recipe("lab/rl-kl").resolved
    with pytest.raises(FileExistsError):
        copy_recipe("demo", copied)
    with pytest.raises(NotFoundError):
        copy_recipe("demo", tmp_path / "no" / "where.yaml")
