"""Rows that a study builds with one of its models, for arms that train on them."""

from __future__ import annotations

from pathlib import Path

import pytest
from study_stages import tasks_of

from lrmctl.errors import RecipeError
from lrmctl.preflight.arms import ArmRecipes, load_arms
from lrmctl.recipe.load import LoadedRecipe, load_recipe
from lrmctl.recipe.schema.recipes import StudyRecipe
from lrmctl.studies.dry_run import plan_study

MAPPED = "{name: mapped, recipe: lab/data/mapped, from: mapper}"
TOP = f"data:\n  - {MAPPED}"
MAPPER = "{name: mapper, recipe: lab/rl-mapper, evaluate: false}"
DART = "{name: dart, recipe: lab/sft-mapped, runs: {lab-data-mapped: mapped}}"


def study(folder: Path, *arms: str, top: str = TOP) -> LoadedRecipe:
    listed = "\n".join(f"  - {arm}" for arm in arms)
    (folder / "study.yaml").write_text(
        f"kind: study\nname: mine\n{top}\narms:\n{listed}\nevaluation:\n  safety: [lab-harmful]\n"
    )
    return load_recipe(folder / "study.yaml")


def test_an_arm_waits_for_its_rows_and_these_for_the_arm_they_are_sampled_from(tmp_path: Path) -> None:
    tasks = tasks_of(tmp_path, DART, MAPPER, top=TOP)
    build = tasks["build:mapped"]
    assert tasks["train:dart"].needs == ("build:mapped",)
    assert (build.needs, build.model) == (("train:mapper",), tmp_path / "mapper" / "model")
    assert tasks["train:dart"].model != build.model  # it starts from the base
    assert "eval:mapped" not in tasks


@pytest.mark.parametrize(
    ("top", "at"),
    [("", "mine/mapped"), ("seeds: [3]\nbases: [lab:tiny, {name: b, model: lab:tiny}]", "mine/lab-tiny/seed-3/mapped")],
)
def test_the_recipe_of_the_arm_names_the_rows_of_its_own_cell(tmp_path: Path, top: str, at: str) -> None:
    loaded = study(tmp_path, MAPPER, DART, top=f"{top}\n{TOP}")
    recipe = load_arms(loaded)["dart"].recipe
    assert recipe.data.sources[0].options == {"name": at}
    assert isinstance(loaded.recipe, StudyRecipe)
    elsewhere = ArmRecipes(loaded, "other").of(loaded.recipe.every_base[0], loaded.recipe.training_seeds[0])
    assert elsewhere["dart"].recipe.data.sources[0].options == {"name": at.replace("mine", "other")}


def test_other_rows_are_another_training(tmp_path: Path) -> None:
    other = TOP.replace("from: mapper", "from: mapper, set: {sampling.samples: 2}")
    one, two = (tasks_of(tmp_path, MAPPER, DART, top=top) for top in (TOP, other))
    assert one["train:mapper"].key == two["train:mapper"].key
    assert one["build:mapped"].key != two["build:mapped"].key
    assert one["train:dart"].key != two["train:dart"].key


def test_stages_take_rows_and_a_beginning_with_other_rows_is_not_shared(tmp_path: Path) -> None:
    again = TOP + "\n  - {name: again, recipe: lab/data/mapped}"
    first, second = (DART.replace("name: dart, ", "").replace(" mapped}", f" {n}}}") for n in ("mapped", "again"))
    arms = (f"{{name: {n}, stages: [{stage}, lab/rl]}}" for n, stage in (("a", first), ("b", second), ("c", first)))
    tasks = tasks_of(tmp_path, MAPPER, *arms, top=again)
    trained = {name for name in tasks if name.startswith("train:")}
    assert trained == {"train:mapper", "train:a.stage-1", "train:a", "train:b.stage-1", "train:b", "train:c"}
    assert tasks["train:b.stage-1"].needs == ("build:again",)


@pytest.mark.parametrize(
    ("arms", "top", "said"),
    [
        ((MAPPER, DART.replace(": mapped}", ": maped}")), TOP, "did you mean 'mapped'"),
        ((MAPPER, DART.replace("sft-mapped", "sft-mixed")), TOP, "names no `run:lab-data-mapped`"),
        ((MAPPER, "{name: dart, recipe: lab/data/mapped}"), TOP, "put it into `data:`"),
        ((MAPPER,), TOP.replace("lab/data/mapped", "lab/rl"), "put it into `arms:`"),
        ((MAPPER, "{name: mapped, recipe: lab/rl}"), TOP, "two arms are called 'mapped'"),
        (("{name: mapper, recipe: lab/sft-mapped, runs: {lab-data-mapped: mapped}}",), TOP, "in a circle"),
        ((MAPPER,), TOP.replace("from: mapper", "from: maper"), "did you mean 'mapper'"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused(tmp_path: Path, arms: tuple[str, ...], top: str, said: str) -> None:
    with pytest.raises(RecipeError, match=said):
        load_arms(study(tmp_path, *arms, top=top))


def test_the_plan_counts_what_is_sampled_and_says_what_is_not_known(tmp_path: Path) -> None:
    plan = plan_study(study(tmp_path, MAPPER, DART), tmp_path / "runs")
    (build,) = [one for one in plan.stages if one.stage == "build"]
    assert (build.arm, build.start, build.completions, build.judge_calls) == ("mapped", "mapper", 3200, 4800)
    (dart,) = [one for one in plan.stages if (one.arm, one.stage) == ("dart", "train")]
    assert dart.notes == ("its rows are made first, by mapped",)
    assert plan.to_json()["totals"]["build"]["runs"] == 1


def test_builds_from_rows_of_the_study_and_pairs_of_its_rollouts_are_planned_before_there_are_any(
    tmp_path: Path,
) -> None:
    faults = "runs: {base: faults}"
    top = f"""data:
  - {{name: faults, recipe: lab/data/faults}}
  - {{name: corrected, recipe: lab/data/correct, {faults}}}
  - {{name: backtracked, recipe: lab/data/backtrack, set: {{build.only: any}}, {faults}}}"""
    arms = ("{name: rl, recipe: lab/rl}", "{name: dpo, recipe: lab/dpo-rollouts, runs: {lab-rl: rl}}")
    plan = plan_study(study(tmp_path, *arms, top=top), tmp_path / "runs")
    told = {one.arm: (one.completions, one.notes) for one in plan.stages if one.stage in ("build", "train")}
    assert told["faults"] == (1024, ())
    assert told["corrected"] == told["backtracked"] == (None, ("its rows are made first, by faults",))
    assert told["dpo"] == (None, ("its rows are made first, by rl",))
    tasks = tasks_of(tmp_path, *arms, top=top)
    assert tasks["build:backtracked"].needs == tasks["build:corrected"].needs == ("build:faults",)
    assert tasks["train:dpo"].needs == ("train:rl",)


@pytest.mark.slow
def test_rows_are_built_with_the_start_and_trained_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from lrmctl.runs.damage import read_object
    from lrmctl.runs.jsonl import read_jsonl
    from lrmctl.studies.run import run_study

    monkeypatch.setenv("LRMCTL_RUNS_HERE", str(tmp_path / "runs"))
    teacher = "prompts: [{use: lab-teacher, options: {n: 24, variant: arithmetic}}]"
    top = f"data:\n  - {{name: mapped, recipe: lab/data/mapped, set: {{{teacher}, sampling.samples: 2}}}}"
    arm = DART.replace("runs:", "set: {train.epochs: 1, train.batch_size: 16}, runs:")
    file = tmp_path / "study.yaml"
    study(tmp_path, arm, top=top)
    file.write_text(file.read_text() + "  max_new_tokens: 8\n  limit: 4\n")
    report = run_study(load_recipe(file), runs_dir=tmp_path / "runs")
    assert report.is_file()
    rows = list(read_jsonl(tmp_path / "runs" / "mine" / "mapped" / "rows.jsonl"))
    assert rows
    assert all("Policy check" not in row["thinking"] for row in rows)
    lock = read_object(tmp_path / "runs" / "mine" / "dart" / "lock.json")
    (source,) = lock["sources"]
    assert (source["run"], source["rows"]) == ("mine/mapped", len(rows))
    stamps = sorted((tmp_path / "runs" / "mine").glob("*/stages/*.json"))
    times = [stamp.stat().st_mtime_ns for stamp in stamps]
    run_study(load_recipe(file), runs_dir=tmp_path / "runs")
    assert [stamp.stat().st_mtime_ns for stamp in stamps] == times  # nothing is built or trained again
    assert {stamp.parent.parent.name for stamp in stamps} == {"base", "mapped", "dart"}
