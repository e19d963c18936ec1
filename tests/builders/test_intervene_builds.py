"""Pairs that the builder `intervene` makes of unsafe thoughts, with the shipped tiny model, and what may use them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from data_recipes import recipe_of

from lrmctl.builders.kinds import make_builder
from lrmctl.builders.plan import plan_build
from lrmctl.builders.run import BuiltData, build
from lrmctl.data.of_recipe import pairs_of
from lrmctl.data.sources import load_demonstrations, load_prompts
from lrmctl.errors import LrmctlError, NotFoundError, RecipeError
from lrmctl.preflight.arms import load_arms
from lrmctl.recipe.load import LoadedRecipe, load_recipe
from lrmctl.recipe.schema.preference import PreferenceRecipe
from lrmctl.recipe.schema.sections import Mixed
from lrmctl.runs.jsonl import read_jsonl

Written = Callable[..., LoadedRecipe]
TRIGGER = "Wait, this is not safe."
PREFIX = "Okay, the user wants to {verb} {object}. This is a risky thing. Let me think."
UNSAFE = "{prefix} Maybe use hazard-1 first. So the plan is hazard-1 then hazard-2."
STEPS = "Step 1: get hazard-1. Step 2: use hazard-2 on {object}."
SAFE_REWARD = {"components": [{"use": "judged-safe", "options": {"judge": "lab", "partial": 0.3}}]}


def asked(n: int = 3) -> list[Any]:
    options = {"n": n, "harmful": 1, "benign": 0, "reasoning": 0}
    return load_prompts([Mixed.model_validate({"use": "lab-prompts", "options": options})])


def row(prompt: Any, thinking: str | None = None, **more: Any) -> dict[str, Any]:
    """An unsafe completion, as another build writes it."""
    words = {name: prompt.meta[name] for name in ("verb", "object")}
    own = UNSAFE.format(prefix=PREFIX.format(**words))
    base = {"id": prompt.id, "kind": prompt.kind, "messages": list(prompt.messages), "meta": dict(prompt.meta)}
    return {**base, "thinking": own if thinking is None else thinking, "answer": STEPS.format(**words), **more}


def write(file: Path, *rows: dict[str, Any]) -> Path:
    file.write_text("".join(json.dumps(one) + "\n" for one in rows))
    return file


def sections(of: Path, **keep: Any) -> dict[str, Any]:
    build = {"use": "intervene", "of": str(of), "triggers": [TRIGGER]}
    return {"prompts": [], "build": build, "keep": keep or {"judges": ["lab"]}}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, BuiltData]]:
    """A build with a reward of two prompts, the first with two traces; `run:lab-built` names it."""
    folder = tmp_path_factory.mktemp("intervened")
    first, second, third = asked()
    rows = (row(first), row(first), row(second), row(third, "This is not safe."), row(third, kind="benign"))
    given = sections(write(folder / "of.jsonl", *rows), reward=SAFE_REWARD, max_per_prompt=1, order="best")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LRMCTL_RUNS_HERE", str(folder / "runs"))
        yield folder, build(recipe_of(folder, **given), runs_dir=folder / "runs")


def test_both_sides_begin_alike_and_the_chosen_one_goes_on_from_the_trigger(made: tuple[Path, BuiltData]) -> None:
    _, done = made
    rows = list(read_jsonl(done.folder / "rows.jsonl"))
    assert [one["id"] for one in rows] == [prompt.id for prompt in asked()[:2]]
    for one in rows:
        assert one["prefix"] == PREFIX.format(**one["meta"])
        assert one["rejected"]["thinking"] == UNSAFE.format(prefix=one["prefix"])
        assert one["chosen"]["thinking"].startswith(f"{one['prefix']} {TRIGGER}")
        assert "hazard" not in one["chosen"]["thinking"] + one["chosen"]["answer"]
        assert (one["meta"]["cue"], one["meta"]["trigger"]) == ("maybe use", TRIGGER)
        assert (one["meta"]["chosen_reward"], one["meta"]["rejected_reward"]) == (1.0, 0.0)


def test_what_becomes_no_pair_is_counted(made: tuple[Path, BuiltData]) -> None:
    _, done = made
    assert done.summary["left_out"] == {"thoughts without a cue of compliance": 1, "prompts that are not harmful": 1}
    assert sum(done.summary["samples"].values()) == 3 * 4
    assert done.summary["samples"]["more than max_per_prompt"] >= 4  # of the two traces of one prompt together
    assert done.summary["audit"]["counts"] == {"harmful / unnamed": 2}
    assert "Preference pairs with a shared beginning" in (done.folder / "README.md").read_text()


def test_a_preference_recipe_names_the_build_and_others_are_told_what_it_is(
    made: tuple[Path, BuiltData], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, done = made
    monkeypatch.setenv("LRMCTL_RUNS_HERE", str(folder / "runs"))
    recipe = load_recipe("lab/dpo-intervened", ["data.sources=[run:lab-built]"]).recipe
    assert isinstance(recipe, PreferenceRecipe)
    found, rows = pairs_of(recipe).rows, list(read_jsonl(done.folder / "rows.jsonl"))
    assert [(one.prefix, one.chosen._asdict()) for one in found] == [(r["prefix"], r["chosen"]) for r in rows]
    for load in (load_demonstrations, load_prompts):
        with pytest.raises(RecipeError, match="'lab-built' holds preference pairs"):
            load([Mixed.model_validate("run:lab-built")])


def test_pairs_of_rows_that_are_no_pairs_are_refused(
    written: Written, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LRMCTL_RUNS_HERE", str(tmp_path / "runs"))
    few = [{"use": "lab-prompts", "options": {"n": 2}}]
    loaded = written(prompts=few, build={"use": "annotate", "text": "{prompt}"}, sampling={"max_new_tokens": 8})
    build(loaded.override({"keep.closed_thinking": False}, "test"), runs_dir=tmp_path / "runs")
    recipe = load_recipe("lab/dpo-intervened", ["data.sources=[run:lab-built]"]).recipe
    assert isinstance(recipe, PreferenceRecipe)
    with pytest.raises(RecipeError, match="'lab-built' holds no preference pairs"):
        pairs_of(recipe)


def test_a_continuation_that_is_no_better_is_dropped(written: Written, tmp_path: Path) -> None:
    (tmp_path / "same.py").write_text("def score(trace):\n    return 1.0\n")
    keep = {"reward": {"components": [{"fn": "./same.py:score"}]}}
    loaded = written(**sections(write(tmp_path / "of.jsonl", row(asked()[0])), **keep))
    with pytest.raises(LrmctlError, match=r"no better than the rejected side: [34]"):
        build(loaded, runs_dir=tmp_path)


def test_the_plan_counts_the_score_of_the_rejected_side_and_triggers_are_used_in_turn(
    written: Written, tmp_path: Path
) -> None:
    given = sections(write(tmp_path / "of.jsonl", *map(row, asked())), reward=SAFE_REWARD)
    given["build"]["triggers"] = ["No.", f"  {TRIGGER}\n"]
    planned = plan_build(written(**given), runs_dir=tmp_path)
    assert planned.plan.completions == 12
    assert planned.plan.judge_calls == {"judged-safe": 3 * (4 + 1) * 2}
    assert [task.place.trigger for task in planned.tasks] == ["No.", TRIGGER, "No."]  # type: ignore[attr-defined]
    del given["build"]["triggers"]
    assert "I should not help" in make_builder(written(**given).recipe).tasks()[0].place.trigger  # type: ignore


@pytest.mark.parametrize(
    ("changed", "where", "said"),
    [
        ({"build": {"triggers": [" "]}}, "triggers", "a trigger is a text"),
        ({"build": {"triggers": ["</think>"]}}, "triggers", "think tags"),
        ({"build": {"cues": "complience-cues"}}, "build.cues", "did you mean 'compliance-cues'"),
        ({"prompts": ["star-1"]}, "prompts", "takes its prompts from `build.of`"),
        ({"keep": {}}, "keep", "needs a judge or a reward"),
        ({"keep": {"judges": ["lab"], "closed_thinking": False}}, "keep.closed_thinking", "sides of a pair"),
    ],
)
def test_what_cannot_be_is_refused_with_its_key(
    written: Written, tmp_path: Path, changed: dict[str, Any], where: str, said: str
) -> None:
    given = sections(write(tmp_path / "of.jsonl", row(asked()[0])))
    given = {**given, **changed, "build": {**given["build"], **changed.get("build", {})}}
    with pytest.raises(RecipeError, match=said) as caught:
        plan_build(written(**given), runs_dir=tmp_path)
    assert where in str(caught.value)


def test_an_engine_without_text_and_a_reward_that_compares_are_refused(written: Written, tmp_path: Path) -> None:
    given = sections(write(tmp_path / "of.jsonl", row(asked()[0])))
    server = {"use": "openai", "base_url": "http://127.0.0.1:9/v1"}
    with pytest.raises(RecipeError, match="an intervention goes on from text"):
        build(written(**given, engine=server), runs_dir=tmp_path)
    compared = {"components": [{"use": "diversity"}]}
    with pytest.raises(LrmctlError, match="compares the samples"):
        build(written(**{**given, "keep": {"reward": compared}}), runs_dir=tmp_path)
    given["build"]["of"] = "run:nothing"
    with pytest.raises(NotFoundError, match="there are no completions of"):
        plan_build(written(**given), runs_dir=tmp_path)
    assert plan_build(written(**given), runs_dir=tmp_path, allow_missing=True).plan.missing


@pytest.mark.parametrize(
    ("recipe", "rows", "said"),
    [
        ("lab/sft-built, runs: {lab-data-select: pairs}", "", "are preference pairs, and its recipe is of kind sft"),
        ("lab/dpo-intervened, runs: {lab-data-intervene: faults}", "", "are no preference pairs"),
        ("lab/rl", "{name: more, recipe: lab/data/correct, runs: {base: pairs}}", "its recipe is of kind data"),
    ],
)
def test_a_study_says_before_it_starts_which_arms_cannot_use_pairs(
    tmp_path: Path, recipe: str, rows: str, said: str
) -> None:
    data = [
        "{name: faults, recipe: lab/data/faults}",
        "{name: pairs, recipe: lab/data/intervene, runs: {base: faults}}",
    ]
    listed = "".join(f"  - {one}\n" for one in [*data, *([rows] if rows else [])])
    file = tmp_path / "study.yaml"
    arms = f"arms:\n  - {{name: a, recipe: {recipe}}}\nevaluation:\n  safety: [lab-harmful]\n"
    file.write_text(f"kind: study\nname: mine\ndata:\n{listed}{arms}")
    with pytest.raises(RecipeError, match=said):
        load_arms(load_recipe(file))


def test_the_labs_study_takes_pairs_where_its_recipes_name_them() -> None:
    recipes = load_arms(load_recipe("lab/studies/intervened"))
    for name in ("dpo-intervened", "dpo-intervened-mixed", "ipo-intervened"):
        recipe = recipes[name].recipe
        assert isinstance(recipe, PreferenceRecipe)
        assert recipe.data.sources[0].options == {"name": "intervened/lab-tiny/seed-0/pairs"}
        assert recipe.preference.nll_weight == 0.2
