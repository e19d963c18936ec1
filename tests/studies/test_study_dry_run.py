"""A study's dry run: what it says is what the training plans say, and what nobody knows is said to be unknown."""

from __future__ import annotations

from pathlib import Path

import pytest

from lrmctl.planning.prices import Prices
from lrmctl.recipe.load import load_recipe
from lrmctl.runs.writing import write_json
from lrmctl.studies.dry_run import StudyPlan, plan_study
from lrmctl.training.plan import plan_training

STUDY = """
kind: study
name: planned
bases: [lab:tiny, {name: other, model: lab:tiny}]
seeds: [0, 1, 2]
arms:
  - {name: rft, recipe: lab/rft, keep: false, set: {data.rejection.samples_per_prompt: 2}}
  - {name: rl, recipe: lab/rl, from: rft, set: {algorithm.steps: 4}}
evaluation:
  safety: [{use: lab-harmful, options: {n: 8}}, {use: lab-benign, options: {n: 8}}]
  samples: 4
  temperatures: [0, 0.6]
"""


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> StudyPlan:
    file = tmp_path_factory.mktemp("plan") / "study.yaml"
    file.write_text(STUDY)
    return plan_study(load_recipe(file), file.parent / "runs")


def test_every_stage_runs_once_per_seed_and_the_bases_once(plan: StudyPlan) -> None:
    assert plan.cells == 2 * (1 + 2 * 3)
    assert (plan.runs("train"), plan.runs("eval"), plan.runs("analyze")) == (12, 14, 14)
    assert [(one.arm, one.stage, one.start, one.runs) for one in plan.stages if one.base == "other"] == [
        ("base", "eval", "", 1),
        ("base", "analyze", "", 1),
        ("rft", "train", "base", 3),
        ("rft", "eval", "base", 3),
        ("rft", "analyze", "base", 3),
        ("rl", "train", "rft", 3),
        ("rl", "eval", "rft", 3),
        ("rl", "analyze", "rft", 3),
    ]


def test_a_trainings_numbers_are_those_of_its_training_plan(plan: StudyPlan, tmp_path: Path) -> None:
    stage = next(one for one in plan.stages if (one.arm, one.stage) == ("rl", "train"))
    loaded = load_recipe("lab/rl", ["algorithm.steps=4"])
    derived = plan_training(loaded, runs_dir=tmp_path, allow_missing=True).summary.derived
    assert (stage.completions, stage.judge_calls, stage.disk_bytes) == (
        derived.samples,
        sum(derived.judge_calls.values()),
        derived.disk_bytes,
    )


def test_greedy_decoding_is_sampled_once_and_each_part_is_judged(plan: StudyPlan) -> None:
    stage = next(one for one in plan.stages if one.stage == "eval")
    assert (stage.completions, stage.judge_calls) == (16 * (1 + 4), 16 * (1 + 4) * 2)


def test_what_is_not_known_is_no_zero(plan: StudyPlan) -> None:
    stage = next(one for one in plan.stages if (one.arm, one.stage) == ("rft", "train"))
    assert stage.completions is None
    assert stage.judge_calls
    assert plan.total("completions", "train").unknown == 6
    assert plan.to_json()["hours"]["not_estimated"]


def test_hours_are_those_of_stages_that_the_study_has_finished(tmp_path: Path) -> None:
    loaded = load_recipe("lab/studies/families")
    base = plan_study(loaded, tmp_path).bases[0]
    for seed, seconds in ((0, 1800.0), (1, 5400.0)):
        write_json(tmp_path / "families" / base / f"seed-{seed}" / "rl" / "stages/train.json", {"seconds": seconds})
    second = plan_study(loaded, tmp_path, "families")
    (one,) = [s for s in second.stages if s.seconds is not None]
    assert (one.base, one.arm, one.stage, one.seconds) == (base, "rl", "train", 3600.0)
    assert second.hours() == (2.0, second.runs() - 2)
    assert second.to_json()["hours"] == {"known": 2.0, "unknown_runs": second.runs() - 2}


def test_money_is_that_of_known_hours_and_the_rest_is_counted(plan: StudyPlan, tmp_path: Path) -> None:
    (tmp_path / "study.yaml").write_text(STUDY)
    write_json(tmp_path / plan.name / plan.bases[0] / "seed-0" / "rl" / "stages/train.json", {"seconds": 3600.0})
    prices = Prices(gpu_hour=2.0, currency="EUR", eval_tokens_per_second=1000)
    found = plan_study(load_recipe(tmp_path / "study.yaml"), tmp_path, prices=prices)
    evaluated = [one for one in found.stages if one.stage == "eval"]
    assert all(one.rated and one.seconds == (one.tokens_at_most or 0) / 1000 for one in evaluated)
    told = found.to_json()["cost"]
    rest = found.runs() - found.runs("eval") - len(plan.seeds)
    assert (told["gpu_money"], told["runs_without_hours"], told["currency"]) == (0.0, rest, "EUR")  # the lab has no GPU


def test_weights_that_are_removed_are_not_counted_as_kept(plan: StudyPlan) -> None:
    of_rl = next(one for one in plan.stages if (one.arm, one.stage) == ("rl", "train"))
    assert plan.total("kept_bytes", "train").known == 6 * (of_rl.disk_bytes or 0)


def test_sets_that_are_not_here_are_named_and_nothing_is_counted(tmp_path: Path) -> None:
    text = STUDY.replace("{use: lab-benign, options: {n: 8}}", "{use: harmbench, judge: refusal-phrases}")
    (tmp_path / "study.yaml").write_text(text)
    found = plan_study(load_recipe(tmp_path / "study.yaml"), tmp_path)
    evaluated = next(one for one in found.stages if one.stage == "eval")
    assert evaluated.completions is None
    assert any(note.startswith("not counted: harmbench") for note in evaluated.notes)
