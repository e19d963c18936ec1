"""The JSON Schema of recipes takes what loads, refuses what is misspelt, and says what every key means."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from recipe_schema import schema_errors

from lrmctl.errors import LrmctlError
from lrmctl.recipe.copy import copy_recipe
from lrmctl.recipe.find import schema_file, shipped_files
from lrmctl.recipe.json_schema import definitions, json_schema, schema_text
from lrmctl.recipe.load import KINDS, load_recipe
from lrmctl.recipe.lock import recipe_hash
from lrmctl.recipe.reference import reference_page
from lrmctl.recipe.yaml import parse, read

PAGE = Path(__file__).parents[2] / "docs" / "recipe-reference.md"
HEADS = {
    "rl": "kind: rl\nname: a\nmodel: lab:tiny\n",
    "eval": "kind: eval\nname: a\nmodel: lab:tiny\n",
    "sft": "kind: sft\nname: a\nmodel: lab:tiny\n",
    "data": "kind: data\nname: a\nmodel: lab:tiny\n",
    "preference": "kind: preference\nname: a\nmodel: lab:tiny\n",
    "study": "kind: study\nname: a\n",
}
RL = HEADS["rl"] + "prompts: [lab-prompts]\nreward: {components: [format]}\n"
EVAL = HEADS["eval"] + "evaluation:\n"
STUDY = HEADS["study"] + "evaluation: {safety: [lab-harmful]}\n"
RIGHT = [
    RL,
    RL + "thinking: off",
    RL.replace("[lab-prompts]", "['run:built', lab-prompts]"),
    RL + "thinking: false",
    RL + "thinking: {open: <a>, close: </a>}",
    RL + "algorithm: {preset: dapo, reward_clip: [-1, 1]}\nprefill: [{thought: No.}]",
    HEADS["rl"] + "prompts: [{use: 'run:other', weight: 1}, {use: math, weight: 2, options: {n: 3}}]\n"
    "reward: {components: [{fn: './r.py:score'}, {use: format, when: [harmful]}]}",
    EVAL + "  {judge: {lab: {}}, safety: [lab-harmful, {use: xstest, judge: {use: lab, options: {}}}], also: [lab]}",
    EVAL + "  {judge: {lab: null}, decoding: zero-think, engine: vllm, batch_size: auto}",
    EVAL + "  {judge: lab, decoding: {mode: budget, tokens: 9}, engine: {dtype: float32}, thinking: gemma}",
    EVAL + "  {safety: [{use: lab-harmful, measured: {thinking: {sensitivity: 0.9, specificity: 1}}}]}",
    EVAL + "  {engine: {use: openai, base_url: ['http://a/v1', 'http://b/v1']}}",
    HEADS["preference"] + "data: {sources: [{from: 'run:rl', min_gap: 0.5}, {from: 'run:b', system: x}]}",
    HEADS["data"] + "prompts: [lab-prompts]\nbuild: {use: select}\nkeep: {judges: [lab, {judge: {lab: {}}}]}",
    STUDY + "bases: [lab:tiny, {pretrain: {seed: 3}}]\narms: [{name: a, stages: [lab/rl, {recipe: b}], from: b},"
    " {name: b, recipe: c, set: {x.y: 1}}]",
]
"""Short forms and other values that a validator takes."""
WRONG = {
    "algorithm": RL + "algorithm: {stepz: 3}",
    "": RL + "algoritm: {steps: 3}",
    "seed": RL + "seed: soon",
    "rollout.temperature": RL + "rollout: {temperature: true}",
    "reward.components": HEADS["rl"] + "prompts: [lab-prompts]\nreward: {components: []}",
    "optimizer.betas": RL + "optimizer: {betas: [0.9]}",
    "kind": "kind: rll\nname: a",
    "evaluation.decoding": EVAL + "  {safety: [lab-harmful], decoding: budget}",
    "evaluation.engine": EVAL + "  {safety: [lab-harmful], engine: {use: vllm, workers: 2}}",
    "algorithm.kl": "extends: lab/rl\nalgorithm: {kl: {coeff: 0.1}}",
    "evaluation.judge": EVAL + "  {safety: [lab-harmful], judge: {lab: {}, other: {}}}",
    "arms": STUDY + "arms: {name: a, recipe: b}",
}
"""By the key that is marked."""


def test_the_schema_is_one_of_the_draft_that_it_names() -> None:
    Draft202012Validator.check_schema(json_schema())


def test_every_shipped_file_is_accepted_methods_and_models_too() -> None:
    assert {name: found for name, file in shipped_files().items() if (found := schema_errors(read(file).data))} == {}


@pytest.mark.parametrize("text", RIGHT)
def test_other_forms_that_load_are_accepted(text: str, tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(text)
    kind = load_recipe(tmp_path / "a.yaml").recipe.kind
    data = read(tmp_path / "a.yaml").data
    assert schema_errors(data) == schema_errors(data, kind) == []


@pytest.mark.parametrize(("key", "text"), WRONG.items())
def test_what_does_not_load_for_its_spelling_or_type_is_marked(key: str, text: str, tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(text)
    with pytest.raises(LrmctlError):
        load_recipe(tmp_path / "a.yaml")
    found = schema_errors(read(tmp_path / "a.yaml").data)
    assert found
    assert all(error.startswith(f"{key}: ") for error in found), found


def test_a_file_that_extends_others_needs_no_key_of_its_own() -> None:
    for text in ("extends: lab/rl", "extends: [lab/rl, a.yaml]\nkind: rl\nreward: {clip: [0, 1]}", "model: a/b"):
        assert schema_errors(parse(text, Path("a.yaml")).data) == []


def test_a_method_lacks_its_model_only() -> None:
    found = schema_errors({"kind": "rl", "name": "a"})
    assert sorted(found) == [": 'prompts' is a required property", ": 'reward' is a required property"]


@pytest.mark.parametrize("kind", KINDS)
def test_the_schema_of_a_kind_takes_no_other_kind(kind: str) -> None:
    others = [file for file in shipped_files().values() if read(file).data.get("kind", kind) != kind]
    assert all(schema_errors(read(file).data, kind) for file in others)


def test_every_key_says_what_it_means() -> None:
    keys = [(n, key, value) for n, one in definitions(KINDS).items() for key, value in _keys(one)]
    assert len(keys) > 300
    assert [f"{name}.{key}" for name, key, value in keys if len(value.get("description", "")) < 5] == []


def _keys(schema: dict[str, Any]) -> list[tuple[str, Any]]:
    return [key for form in schema.get("anyOf", [schema]) for key in form.get("properties", {}).items()]


def test_the_published_schema_and_page_are_what_the_code_gives() -> None:
    again = "lrmctl recipe schema --out recipes/schema.json; lrmctl recipe schema --md --out docs/recipe-reference.md"
    assert schema_file().read_text(encoding="utf-8") == schema_text(), again
    assert PAGE.read_text(encoding="utf-8") == reference_page(), again


def test_every_key_is_on_the_page() -> None:
    page = reference_page()
    assert [key for one in definitions(KINDS).values() for key, _ in _keys(one) if f"| `{key}` |" not in page] == []


def test_every_shipped_file_names_the_schema_in_its_first_line() -> None:
    for file in shipped_files().values():
        first, name = file.read_text(encoding="utf-8").splitlines()[0].split("=")
        assert first == "# yaml-language-server: $schema"
        assert (file.parent / name).resolve() == schema_file().resolve()


@pytest.mark.parametrize(("ref", "on"), [("lab/rl-kl", None), ("rl-guard", "qwen3-8b"), ("models/qwen3-8b", None)])
def test_a_copy_names_the_installed_schema(ref: str, on: str | None, tmp_path: Path) -> None:
    copy = copy_recipe(ref, tmp_path / "mine.yaml", on)
    first, second = copy.read_text(encoding="utf-8").splitlines()[:2]
    assert first == f"# yaml-language-server: $schema={schema_file().as_uri()}"
    assert "yaml-language-server" not in second
    assert schema_errors(read(copy).data) == []


def test_a_copy_of_a_file_names_the_schema_of_that_file(tmp_path: Path) -> None:
    (tmp_path / "schemas").mkdir()
    (tmp_path / "schemas" / "a b.json").touch()
    (tmp_path / "schemas" / "s.json").touch()
    for named, expected in {
        "./schemas/s.json": (tmp_path / "schemas" / "s.json").as_uri(),
        "./nothing.json": "./nothing.json",
        "https://example.org/s.json": "https://example.org/s.json",
    }.items():
        (tmp_path / "mine.yaml").write_text(f"# yaml-language-server: $schema={named}\nextends: lab/rl\n")
        copy = copy_recipe(str(tmp_path / "mine.yaml"), tmp_path / "copy.yaml")
        assert copy.read_text().splitlines()[0] == f"# yaml-language-server: $schema={expected}"
        copy.unlink()


def test_the_line_for_editors_changes_no_recipe(tmp_path: Path) -> None:
    text = next(iter(shipped_files().values())).read_text(encoding="utf-8")
    (tmp_path / "with.yaml").write_text(text)
    (tmp_path / "without.yaml").write_text(text.partition("\n")[2])
    hashes = {recipe_hash(load_recipe(file)) for file in tmp_path.iterdir()}
    assert len(hashes) == 1
