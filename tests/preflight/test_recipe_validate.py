"""`recipe validate`: what can be known of a recipe without a GPU, a model, data or the trainer."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from lrmctl.errors import RecipeError
from lrmctl.preflight.validate import validate
from lrmctl.recipe.find import shipped
from lrmctl.recipe.load import load_recipe
from lrmctl.recipe.problems import Problem, ProblemsError, key_path

HEAVY = {"torch", "transformers", "datasets", "scipy", "ray", "openrlhf"}


def write(folder: Path, text: str, name: str = "r.yaml") -> Path:
    file = folder / name
    file.write_text(text, encoding="utf-8")
    return file


def run(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *words], cwd=cwd, capture_output=True, text=True)


def fails(file: Path, *sets: str) -> str:
    with pytest.raises(RecipeError) as caught:
        validate(load_recipe(file, sets))
    return str(caught.value)


def test_an_arm_that_the_trainer_would_refuse_is_told_with_its_own_line(tmp_path: Path) -> None:
    arm = write(tmp_path, "extends: lab/rl\nalgorithm:\n  clip_low: 2\n", "arm.yaml")
    study = "kind: study\nname: s\narms:\n  - {name: a, recipe: arm.yaml, set: {rollout.queue: 4}}\n"
    file = write(tmp_path, study + "evaluation: {reasoning: [lab_arithmetic]}\n", "study.yaml")
    told = fails(file)
    assert f"{arm}:3: arm a: algorithm.clip_low:" in told
    assert f"{file}:4: set rollout.queue: arm a: rollout.queue:" in told


EVAL = "kind: eval\nname: e\nmodel: lab:tiny\nevaluation:\n"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "extends: lab/rl\nprompts:\n  - {use: asked, options: {of: [{use: nowhere}], text: '{prompt}'}}\n",
            "no source called 'nowhere'",
        ),
        ("extends: lab/rl\nprompts:\n  - {use: asked, options: {of: [lab-prompts], text: Split it.}}\n", "{prompt}"),
        (EVAL + "  judge: lab\n  safety: [{use: prompts-of, options: {source: nowhere}}]\n", "called 'nowhere'"),
        (EVAL + "  judge: {yes-no: {model: m, question: 'Harm?'}}\n  safety: [lab-harmful]\n", "write {response}"),
        ("extends: lab/rl\nreward: {components: [{use: length, options: {low: 9, high: 2}}]}\n", "lies above `high`"),
        (EVAL + "  judge: {fitted: {folder: 1}}\n  safety: [lab-harmful]\n", "has to be one folder"),
    ],
    ids=["source in a source", "text of a source in a source", "source in a benchmark", "question", "length", "folder"],
)
def test_what_is_named_inside_options_is_checked_before_anything_starts(tmp_path: Path, text: str, told: str) -> None:
    file = write(tmp_path, text)
    assert (said := fails(file)).count(f"{file}:") == 1
    assert told in said


def test_an_eval_recipe_has_nothing_for_a_trainer_to_check() -> None:
    assert validate(load_recipe("lab/eval")) == []


def test_json_lists_problems_and_notes_by_key_and_place(tmp_path: Path) -> None:
    file = write(tmp_path, "extends: lab/rl\nalgorithm: {clip_low: 2, gamma: 0.5}\n")
    words = ["-m", "lrmctl", "recipe", "validate", str(file), "lab/eval", "nowhere", "--json"]
    done = run(*words, cwd=tmp_path)
    assert done.returncode == 2
    bad, fine, lost = json.loads(done.stdout)["data"]
    assert [(p["key"], p["where"]) for p in bad["problems"]] == [
        ("algorithm.gamma", f"{file}:2"),
        ("algorithm.clip_low", f"{file}:2"),
    ]
    assert (bad["ok"], fine["ok"], lost["ok"]) == (False, True, False)
    assert "there is no recipe" in lost["problems"][0]["what"]
    ok = run("-m", "lrmctl", "recipe", "validate", "lab/rl", "--set", "rollout.top_p=0.9", "--json", cwd=tmp_path)
    assert [n["key"] for n in json.loads(ok.stdout)["data"][0]["notes"]] == ["rollout.top_p"]


def test_the_largest_recipe_validates_without_numerics(tmp_path: Path) -> None:
    largest = max(shipped(), key=lambda name: len(str(load_recipe(name).resolved)))
    done = run("-X", "importtime", "-m", "lrmctl", "recipe", "validate", largest, cwd=tmp_path)
    assert done.returncode == 0
    lines = [line for line in done.stderr.splitlines() if line.startswith("import time:")]
    assert {line.rpartition("|")[2].strip().partition(".")[0] for line in lines} & HEAVY == set()


def test_keys_that_hold_dots_are_found() -> None:
    data = {"backend": {"flags": {"ds.zpg": 1, "ds": 2}}, "prompts": [{"use": "a"}]}
    assert key_path(data, "backend.flags.ds.zpg") == ("backend", "flags", "ds.zpg")
    assert key_path(data, "backend.flags.ds") == ("backend", "flags", "ds")
    assert key_path(data, "prompts.0.use") == ("prompts", 0, "use")
    assert key_path(data, "layout.gpus") == ("layout", "gpus")


def test_an_error_of_several_problems_reaches_another_process_whole() -> None:
    import pickle

    error = ProblemsError([Problem("a", "x", "y"), Problem("b", "z")], ["f:1", "f:2"])
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.problems, again.places) == (str(error), error.problems, error.places)
    assert "f:1: a: x; y" in str(error)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("algorithm: {kl: {estmator: k1}}", "2: algorithm.kl.estmator: is not known here; did you mean 'estimator'?"),
        ("algorithm:\n  critic: {value_clp: 1}", "3: algorithm.critic.value_clp: is not known here; did you mean"),
        ("algorithm:\n  overlong: {bufer: 3}", "3: algorithm.overlong.bufer: is not known here; did you mean 'buffer'"),
        ("algorithm:\n  overlong: {penalty: 3}", "3: algorithm.overlong: `buffer:` is missing"),
        ("layout: {gpu: 2}", "2: layout.gpu: is not known here; did you mean 'gpus'?"),
        ("launch: {via: slrm}", "2: launch.via: there is no launcher called 'slrm'; did you mean 'slurm'?"),
        ("optimizer:\n  lora: {ranks: 3}", "3: optimizer.lora.ranks: is not known here; did you mean 'rank'?"),
        ("algorithm: [grpo]", "2: algorithm: is a section with keys of its own, not ['grpo']"),
        ("algorithm: {reward_clip: [1]}", "2: algorithm.reward_clip: has too few values"),
        ("evaluation:\n  prompts: [{use: a, wieght: 1}]", "3: evaluation.prompts.0.wieght: is not known here; did"),
        ("evaluation:\n  prompts: [{use: a}]\n  best: sfe", "4: evaluation.best: no reward component is called 'sfe'"),
        ("algorithm:\n  dynamic_filtering: {of: x}", "3: algorithm.dynamic_filtering.of: no reward component is"),
        ("prompts:\n  - {use: a, weight: 1}\n  - {use: b}", "2: prompts: the source 'b' has no weight"),
        ("seed: 99999999999999999999", "2: '99999999999999999999' is too large a number"),
    ],
)
def test_the_new_sections_are_told_by_line_and_key(tmp_path: Path, text: str, told: str) -> None:
    file = write(tmp_path, f"extends: lab/rl\n{text}\n")
    assert f"{file}:{told}" in fails(file)


def test_a_line_is_of_the_file_that_says_it_or_of_the_override(tmp_path: Path) -> None:
    base = write(tmp_path, "extends: lab/rl\nalgorithm: {clip_low: 2}\n", "base.yaml")
    child = write(tmp_path, "extends: base.yaml\nrollout: {queue: 2}\n", "child.yaml")
    told = fails(child, "algorithm.gamma=0.5")
    assert f"{base}:2: algorithm.clip_low:" in told
    assert f"{child}:2: rollout.queue:" in told
    assert "--set algorithm.gamma=0.5: algorithm.gamma:" in told
    assert "--set algorithm.kl.coeff=1: algorithm.kl.coeff: is not known" in fails(child, "algorithm.kl.coeff=1")


def test_show_has_the_new_sections(tmp_path: Path) -> None:
    shown = json.loads(run("-m", "lrmctl", "recipe", "show", "lab/rl", "--json", cwd=tmp_path).stdout)["data"]
    assert {"layout", "launch", "evaluation", "rollout"} <= set(shown)
    assert {"kl", "critic", "importance", "dynamic_filtering", "overlong"} <= set(shown["algorithm"])
