"""The functions on run folders that are there: what they return, and one clear error for bad input."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from report_fixtures import make_study

import lrmctl
from lrmctl.errors import LrmctlError, NotFoundError, RecipeError
from lrmctl.runs.names import RUNS_DIR_VARIABLE


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    make_study(tmp_path, n=4, samples=1, temperatures=(0.6,))
    return tmp_path


def test_a_run_is_found_by_name_and_by_folder(runs: Path) -> None:
    by_name, by_folder = lrmctl.load_run("run:rl", runs_dir=runs), lrmctl.load_run(runs / "rl")
    assert by_name.path == by_folder.path
    assert by_name.state == "done"
    assert len(by_name.training_metrics()) == 80
    assert list(by_name.training_rollouts()) == []
    assert repr(by_name).endswith("rl', done)")
    assert lrmctl.load_run("base", runs_dir=runs).state == "not trained here"


def test_the_environment_names_the_folder_of_runs(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(RUNS_DIR_VARIABLE, raising=False)
    monkeypatch.setenv("LRMCTL_RUNS", str(runs))
    assert lrmctl.load_run("rl").path == runs / "rl"
    assert RUNS_DIR_VARIABLE not in os.environ


def test_figures_are_flat_rows_with_interval_n_and_judge(runs: Path) -> None:
    evaluation = lrmctl.load_run("rl", runs_dir=runs).evaluation()
    figures = evaluation.figures()
    of_summary = {
        (entry["set"], name): figure
        for entry in evaluation.summary["sets"]
        for name, figure in entry["metrics"].items()
    }
    assert len(figures) == len(of_summary)
    for row in figures:
        figure = of_summary[row["set"], row["metric"]]
        assert (row["value"], row["low"], row["n"]) == (figure["value"], figure["low"], figure["n"])
        assert row["judge"] in ("lab", "math_verify")
        assert row["judge_version"]
    assert {row.set for row in evaluation.rows()} == {row["set"] for row in figures}


def test_a_figure_that_is_in_several_sets_has_to_name_one(runs: Path) -> None:
    evaluation = lrmctl.load_run("rl", runs_dir=runs).evaluation()
    assert evaluation.figure("joint_safe", set="lab-harmful/heldout")["metric"] == "joint_safe"
    with pytest.raises(LookupError, match=r"in several sets; there are: lab-benign/heldout at 0\.6, lab-harmful"):
        evaluation.figure("joint_malformed")
    with pytest.raises(LookupError, match="'speed' is in no set"):
        evaluation.figure("speed")


def test_compare_pairs_with_the_baseline_and_report_writes_one_page(runs: Path) -> None:
    found = lrmctl.compare("base", "rl", "rft", runs_dir=runs)
    assert [comparison.b.name for comparison in found] == ["rl", "rft"]
    assert all(comparison.deltas for comparison in found)
    page = lrmctl.report("base", "rl", out=runs / "page.html", title="Mine", runs_dir=runs)
    assert "<title>Mine" in page.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("call", "what"),
    [
        (lambda runs: lrmctl.compare("base", runs_dir=runs), "nothing to compare"),
        (lambda runs: lrmctl.report(runs_dir=runs), "at least one run"),
        (lambda runs: lrmctl.train("lab/eval", runs_dir=runs), "recipe of kind eval"),
        (lambda runs: lrmctl.train("lab/rl", overrides={"algorithm.stepz": 1}, runs_dir=runs), "stepz"),
        (lambda runs: lrmctl.evaluate("base", "lab/rl", runs_dir=runs), "recipe of kind rl"),
        (lambda runs: lrmctl.analyze("gone", runs_dir=runs), "no run 'gone'"),
        (lambda runs: lrmctl.load_run("rl", runs_dir=runs).evaluation("greedy"), "has no evaluation 'greedy'"),
        (lambda _: lrmctl.make_judge("nobody"), "nobody"),
        (lambda _: lrmctl.make_reward("format", colour="red"), "colour"),
    ],
)
def test_bad_input_is_one_error_that_says_what(runs: Path, call: object, what: str) -> None:
    with pytest.raises(LrmctlError, match=what):
        call(runs)  # type: ignore[operator]


def test_overrides_are_recorded_as_set_would_be() -> None:
    from lrmctl.api.recipes import chosen_recipe

    mapping = chosen_recipe("lab/rl", "rl", overrides={"algorithm.steps": 2, "description": "two words"})
    texts = chosen_recipe("lab/rl", "rl", overrides=["algorithm.steps=2", 'description="two words"'])
    assert mapping.resolved == texts.resolved
    assert mapping.sets == texts.sets
    assert chosen_recipe(mapping, "rl", overrides={"seed": 3}).resolved == {**mapping.resolved, "seed": 3}


def test_a_loaded_recipe_is_not_put_on_a_model_again() -> None:
    from lrmctl.recipe.load import load_recipe

    with pytest.raises(RecipeError, match="loaded already"):
        lrmctl.train(load_recipe("lab/rl"), on="qwen3-8b")


def test_a_run_that_is_not_there_names_the_nearest(runs: Path) -> None:
    with pytest.raises(NotFoundError, match="did you mean 'rft'"):
        lrmctl.load_run("rftt", runs_dir=runs)
