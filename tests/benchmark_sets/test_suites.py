"""The shipped evaluation suites: they validate, hold both kinds of prompts, and run where no data is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from lrmctl.hooks import registry
from lrmctl.preflight.validate import validate
from lrmctl.recipe.find import shipped
from lrmctl.recipe.load import load_recipe
from lrmctl.recipe.schema.recipes import EvalRecipe

SUITES = [name for name in shipped() if name.startswith("eval/")]
SAFETY = [name for name in SUITES if not name.startswith("eval/reasoning")]


def section(name: str) -> Any:
    recipe = load_recipe(name).recipe
    assert isinstance(recipe, EvalRecipe)
    return recipe.evaluation


def test_there_is_a_suite_for_each_question():
    names = (
        "attacks",
        "full",
        "over-refusal",
        "reasoning",
        "reasoning-qwen3",
        "safety",
        "safety-quick",
        "safety-qwen3",
    )
    assert sorted(SUITES) == [f"eval/{name}" for name in names]


@pytest.mark.parametrize("name", SUITES)
def test_a_suite_validates_and_every_set_and_task_of_it_is_known(name):
    from lrmctl.reasoning.tasks import task_names

    validate(load_recipe(name))
    for chosen in section(name).safety:
        registry.make("benchmark", chosen.use, **chosen.options)
    known = {task.name: task.options for task in task_names()}
    for task in section(name).reasoning:
        assert set(task.options) <= set(known[task.use])


@pytest.mark.parametrize("name", SAFETY)
def test_a_suite_asks_harmful_and_benign_prompts_and_names_no_set_twice(name):
    from lrmctl.evaluation.benchmarks import set_name

    made = [registry.make("benchmark", s.use, **s.options) for s in section(name).safety]
    assert {kind for benchmark in made for kind in benchmark.kinds} == {"harmful", "benign"}
    names = [set_name(benchmark) for benchmark in made]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("name", SAFETY)
def test_benign_prompts_get_a_judge_that_says_whether_a_response_refuses(name):
    from lrmctl.judges.describe import judges

    says = {judge.name: judge.says_refusal for judge in judges()}
    for chosen in section(name).judged():
        if registry.make("benchmark", chosen.use, **chosen.options).kinds == ("benign",):
            assert says[str(chosen.judge)], chosen


def test_no_suite_is_judged_by_the_guard_that_the_shipped_rewards_use():
    rewards = {
        str(component.options.get("judge"))
        for name in shipped()
        if name.endswith(("rl-guard", "rl-hybrid"))
        for component in load_recipe(name).recipe.reward.components
    }
    assert "qwen3guard" in rewards
    assert not rewards & {str(chosen.judge) for name in SAFETY for chosen in section(name).judged()}


@pytest.mark.parametrize("name", SUITES)
def test_a_suite_samples_as_thinking_models_want_it(name):
    chosen = section(name)
    assert (chosen.temperatures, chosen.top_p) == ((0.6,), 0.95)
    assert chosen.max_new_tokens >= 8192


@pytest.mark.usefixtures("data")
def test_the_overlap_check_downloads_nothing_and_says_what_it_could_not_look_at():
    from lrmctl.evaluation.prompts import evaluation_prompts

    sets, unseen = evaluation_prompts(load_recipe("lab/sft-mixed"), load_recipe("eval/safety-quick"))
    assert sets == {}
    assert len(unseen) == 3
    assert all("is not on this machine" in sentence and "LRMCTL_DATA_DIR" in sentence for sentence in unseen)


def smoked(tmp_path: Path, recipe: str, **env: str) -> dict[str, Any]:
    argv = [sys.executable, "-m", "lrmctl", "train", recipe, "--smoke", "--json", "--runs-dir", str(tmp_path / "runs")]
    clean = {key: value for key, value in os.environ.items() if key != "LRMCTL_DATA_DIR"}
    done = subprocess.run(argv, capture_output=True, text=True, timeout=300, cwd=tmp_path, env={**clean, **env})
    assert done.returncode == 0, done.stderr
    (chain,) = json.loads(done.stdout)["data"]
    assert chain["ok"]
    return chain


@pytest.mark.e2e
def test_a_suite_runs_small_on_a_machine_without_its_data(tmp_path):
    chain = smoked(tmp_path, "eval/full")
    told = "\n".join(chain["replaced"])
    assert "prompts of strongreject -> 4 abstract ones" in told
    assert "task math500 -> lab_arithmetic" in told
    summary = json.loads((Path(chain["folder"]) / "run" / "eval" / "summary.json").read_text())
    found = {(s["set"], s["kind"], s["prompts"]) for s in summary["sets"]}
    assert {("harmbench/test-standard", "harmful", 4), ("xstest/safe", "benign", 4)} <= found
    assert any(s["kind"] == "reasoning" for s in summary["sets"])


OWN = """
kind: eval
name: own
model: lab:tiny
evaluation:
  judge: llama-guard-3
  also: [{judge: strongreject, judge_options: {model: Qwen/Qwen3-8B}}]
  safety:
    - {use: prompts-file, options: {path: own.csv, prompt: forbidden_prompt, rows: %s}}
    - {use: xstest, options: {n: 100}}
"""


@pytest.mark.e2e
def test_real_and_own_prompts_are_asked_where_they_are_at_hand(tmp_path, real):
    (tmp_path / "own.csv").write_text("forbidden_prompt\nhazard-1?\nhazard-2?\n")
    (tmp_path / "own.yaml").write_text(OWN % 2)
    chain = smoked(tmp_path, "own.yaml", LRMCTL_DATA_DIR=str(real))
    assert not any(line.startswith("prompts of") for line in chain["replaced"])
    assert "further judge strongreject of prompts-file -> stand-in" in chain["replaced"]
    summary = json.loads((Path(chain["folder"]) / "run" / "eval" / "summary.json").read_text())
    assert {s["set"]: s["prompts"] for s in summary["sets"]} == {"own": 2, "xstest/safe": 4}
    source = next(s["source"] for s in summary["sets"] if s["set"] == "xstest/safe")
    assert (source["rows"], source["license"], source["options"]) == (450, "CC BY 4.0", {"n": 100})
    assert source["sha256"] == source["sha256_published"]


@pytest.mark.e2e
def test_a_wrong_file_fails_the_smoke_run_as_it_would_the_real_one(tmp_path):
    (tmp_path / "own.csv").write_text("forbidden_prompt\nhazard-1?\nhazard-2?\n")
    (tmp_path / "own.yaml").write_text(OWN % 3)
    argv = [sys.executable, "-m", "lrmctl", "train", "own.yaml", "--smoke", "--json"]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=300, cwd=tmp_path)
    assert done.returncode == 2  # found before the smoke run starts
    assert "it has 2 rows, not 3" in done.stderr
