from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lrmctl import __version__
from lrmctl.recipe.find import shipped, shipped_methods, shipped_models

Lrmctl = Callable[..., Any]


def test_help_names_every_command(lrmctl: Lrmctl) -> None:
    result = lrmctl("--help")
    assert result.code == 0
    commands = re.findall(r"^  ([a-z]+) ", result.out.partition("Commands:")[2], re.MULTILINE)
    words = "demo train eval analyze compare export publish monitor report traces view study doctor"
    nouns = "recipe plugin reward judge benchmark data model run"
    assert commands == [*words.split(), *nouns.split()]


@pytest.mark.parametrize(
    "words",
    [
        "train",
        "eval",
        "study",
        "demo",
        "monitor",
        "view",
        "recipe copy",
        "reward score",
        "judge measure",
        "data pairs",
        "benchmark show",
        "run show",
        "model tiny",
    ],
)
def test_every_command_has_help(lrmctl: Lrmctl, words: str) -> None:
    result = lrmctl(*words.split(), "--help")
    assert result.code == 0
    assert "Usage:" in result.out


def test_no_summary_in_the_help_is_cut(lrmctl: Lrmctl) -> None:
    assert "..." not in lrmctl("--help").out.partition("Commands:")[2]


def test_version(lrmctl: Lrmctl) -> None:
    assert lrmctl("--version").out.strip() == f"lrmctl {__version__}"


def test_recipe_list_names_all_shipped_recipes(lrmctl: Lrmctl) -> None:
    data = json.loads(lrmctl("recipe", "list", "--json").out)
    assert (data["kind"], data["lrmctl"]) == ("recipes", __version__)
    assert {row["name"] for row in data["data"]} == set(shipped())
    table = lrmctl("recipe", "list").out
    whole = [name for name, files in shipped().items() if len(files) == 1]
    assert all(name in table for name in [*whole, *shipped_methods(), *shipped_models()])


def test_recipe_show_is_a_recipe_again(lrmctl: Lrmctl, tmp_path: Path) -> None:
    shown = lrmctl("recipe", "show", "lab/rl", "--set", "algorithm.steps=3").out
    (tmp_path / "again.yaml").write_text(shown)
    first = json.loads(lrmctl("recipe", "show", "lab/rl", "--set", "algorithm.steps=3", "--json").out)
    second = json.loads(lrmctl("recipe", "show", "again.yaml", "--json").out)
    assert first == second
    assert first["data"]["algorithm"]["steps"] == 3


def test_recipe_copy_prints_the_new_file_and_never_overwrites(lrmctl: Lrmctl, tmp_path: Path) -> None:
    assert lrmctl("recipe", "copy", "lab/rl-kl").out.strip() == "rl-kl.yaml"
    assert (tmp_path / "rl-kl.yaml").is_file()
    again = lrmctl("recipe", "copy", "lab/rl-kl")
    assert again.code == 2
    assert "already there" in again.err


def test_recipe_validate_reports_every_file_and_ends_with_2(lrmctl: Lrmctl, tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text("kind: rl\nnme: x\n")
    result = lrmctl("recipe", "validate", "bad.yaml", "lab/eval")
    assert result.code == 2
    assert "bad.yaml:2: nme: is not known here; did you mean 'name'?" in result.err
    assert "lab/eval: ok" in result.out


def test_plugin_list_as_a_table_and_as_json(lrmctl: Lrmctl) -> None:
    listed = json.loads(lrmctl("plugin", "list", "judge", "--json").out)["data"]
    assert {entry["group"] for entry in listed["plugins"]} == {"judge"}
    assert "factory" not in listed["plugins"][0]
    assert "lab-harmful" in lrmctl("plugin", "list").out
    assert "did you mean 'judge'" in lrmctl("plugin", "list", "jugde").err


def test_doctor_as_json_gives_a_verdict_and_a_reason_for_every_check(lrmctl: Lrmctl) -> None:
    result = lrmctl("doctor", "--json")
    checks = json.loads(result.out)["data"]
    assert {"python", "torch", "openrlhf", "disk", "plugins"} <= {check["id"] for check in checks}
    assert all(check["reason"] for check in checks)
    assert result.code == int(any(check["verdict"] == "fail" for check in checks))


def test_doctor_says_where_runs_cannot_be_written(lrmctl: Lrmctl, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = lrmctl("doctor", "--runs-dir", "file/runs", "--json")
    (runs,) = [c for c in json.loads(result.out)["data"] if c["id"] == "runs"]
    assert (runs["verdict"], result.code) == ("fail", 1)
    assert "--runs-dir" in runs["fix"]


def run_folder(path: Path, **status: str) -> None:
    path.mkdir(parents=True)
    (path / "status.json").write_text(json.dumps(status))


def test_run_list_finds_runs_and_the_arms_of_studies(lrmctl: Lrmctl, tmp_path: Path) -> None:
    assert json.loads(lrmctl("run", "list", "--json").out)["data"] == []
    run_folder(tmp_path / "runs" / "one", state="done", updated="2026-01-01T00:00:00Z")
    run_folder(tmp_path / "runs" / "study" / "arm", state="failed")
    (tmp_path / "runs" / "study" / "study.json").write_text("{}")
    run_folder(tmp_path / "runs" / "one" / "not-a-run", state="done")
    runs = json.loads(lrmctl("run", "list", "--json").out)["data"]
    assert [(run["name"], run["state"]) for run in runs] == [("one", "done"), ("study/arm", "failed")]
    assert "study/arm" in lrmctl("run", "list").out


def test_run_show_and_an_unknown_run(lrmctl: Lrmctl, tmp_path: Path) -> None:
    run_folder(tmp_path / "runs" / "one", state="done")
    (tmp_path / "runs" / "one" / "metrics.jsonl").write_text('{"step": 1, "loss": 2}\n{"step": 2, "loss": 1}\n')
    shown = json.loads(lrmctl("run", "show", "run:one", "--json").out)["data"]
    assert (shown["status"]["state"], shown["metrics"]["step"]) == ("done", 2)
    lost = lrmctl("run", "show", "onne")
    assert lost.code == 2
    assert "did you mean 'one'" in lost.err


def test_the_runs_folder_comes_from_the_environment(
    lrmctl: Lrmctl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_folder(tmp_path / "elsewhere" / "one", state="done")
    monkeypatch.setenv("LRMCTL_RUNS", str(tmp_path / "elsewhere"))
    assert [run["name"] for run in json.loads(lrmctl("run", "list", "--json").out)["data"]] == ["one"]


def test_a_recipe_of_another_kind_gets_the_command_that_runs_it(lrmctl: Lrmctl) -> None:
    result = lrmctl("train", "demo")
    assert result.code == 2
    assert "fix: lrmctl study demo" in result.err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["train", "lab/rl", "--set", "model=./nowhere"], "no model './nowhere'"),
        (["eval", "run:nowhere"], "there is no run 'run:nowhere'"),
        (["analyze", "nowhere"], "there is no run 'nowhere'"),
        (["compare", "a", "b"], "there is no run 'a'"),
        (["report", "nowhere"], "there is no run 'nowhere'"),
        (["study", "nowhere.yaml"], "there is no recipe 'nowhere.yaml'"),
        (["demo", "--set", "jobs=0"], "--set jobs=0: jobs:"),
        (["train"], "Missing argument"),
        (["trian"], "No such command"),
        (["train", "lab/rl", "--nmae", "x"], "No such option"),
    ],
)
def test_a_wrong_name_is_one_clear_error_and_exit_code_2(lrmctl: Lrmctl, words: list[str], told: str) -> None:
    result = lrmctl(*words)
    assert result.code == 2
    assert told in result.err
    assert "Traceback" not in result.err
    assert result.out == ""
