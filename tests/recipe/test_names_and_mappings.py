"""A plugin that needs no options is named by its name alone, and a judge by name or mapping, wherever one is named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lrmctl.errors import RecipeError
from lrmctl.preflight.validate import validate
from lrmctl.recipe.load import load_recipe
from lrmctl.recipe.schema.evaluation import EvalSection


def section(**said: Any) -> EvalSection:
    return EvalSection.model_validate(said)


def test_names_alone_are_taken_in_every_list() -> None:
    made = section(safety=["lab-harmful"], reasoning=["math500"], also=["refusal-phrases"])
    assert (made.safety[0].use, made.reasoning[0].use, made.also[0].judge) == (
        "lab-harmful",
        "math500",
        "refusal-phrases",
    )
    assert made.safety[0].options == {}


def test_names_alone_are_taken_in_training_recipes_too(tmp_path: Path) -> None:
    file = tmp_path / "r.yaml"
    file.write_text("kind: rl\nname: r\nmodel: lab:tiny\nprompts: [lab-prompts]\nreward: {components: [format]}\n")
    recipe: Any = load_recipe(file).recipe
    assert (recipe.prompts[0].use, recipe.reward.components[0].use) == ("lab-prompts", "format")
    validate(load_recipe(file))


@pytest.mark.parametrize(
    "said",
    [
        {"judge": {"llama-guard-3": {"dtype": "float32"}}},
        {"judge": {"use": "llama-guard-3", "options": {"dtype": "float32"}}},
        {"judge": "llama-guard-3", "judge_options": {"dtype": "float32"}},
    ],
)
def test_a_judge_is_a_name_or_a_mapping_at_every_place(said: dict[str, Any]) -> None:
    wanted = ("llama-guard-3", {"dtype": "float32"})
    whole = section(safety=["xstest"], **said)
    of_set = section(safety=[{"use": "xstest", **said}])
    further = section(safety=["lab-harmful"], also=[said])
    chosen = of_set.judged()[0]
    assert [(whole.judge, whole.judge_options), (chosen.judge, chosen.judge_options)] == [wanted, wanted]
    assert (further.also[0].judge, further.also[0].judge_options) == wanted


def test_a_judge_of_a_reward_is_a_name_or_a_mapping(tmp_path: Path) -> None:
    file = tmp_path / "r.yaml"
    component = "{use: judged-safe, options: {judge: {llama-guard-3: {dtype: float32}}}}"
    text = f"kind: rl\nname: r\nmodel: lab:tiny\nprompts: [lab-prompts]\nreward: {{components: [{component}]}}\n"
    file.write_text(text)
    recipe: Any = load_recipe(file).recipe
    assert recipe.reward.components[0].options == {"judge": "llama-guard-3", "judge_options": {"dtype": "float32"}}
    file.write_text(text.replace("dtype: float32", "dtpe: float32"))
    with pytest.raises(RecipeError, match="dtpe"):
        validate(load_recipe(file))


@pytest.mark.parametrize(
    "judge", [{}, {"a": {}, "b": {}}, {"a": 3}, {"use": 3, "options": {}}, {"llama-guard-3": ["x"]}]
)
def test_a_mapping_that_is_no_judge_is_refused_with_its_place(tmp_path: Path, judge: object) -> None:
    file = tmp_path / "e.yaml"
    file.write_text(f"kind: eval\nname: e\nmodel: lab:tiny\nevaluation:\n  safety: [xstest]\n  judge: {judge}\n")
    with pytest.raises(RecipeError, match=r"e\.yaml:6: evaluation\.judge: one judge"):
        load_recipe(file)


def test_options_in_two_places_are_refused() -> None:
    with pytest.raises(ValueError, match="say them once"):
        section(safety=["xstest"], judge={"llama-guard-3": {"dtype": "float32"}}, judge_options={"batch_size": 2})


def test_the_labs_judge_judges_no_set_that_is_not_the_labs(tmp_path: Path) -> None:
    file = tmp_path / "e.yaml"
    file.write_text("kind: eval\nname: e\nmodel: lab:tiny\nevaluation:\n  safety:\n    - lab-harmful\n    - xstest\n")
    with pytest.raises(RecipeError, match=r"e\.yaml:7: evaluation\.safety\.1: nobody judges 'xstest'"):
        load_recipe(file)
    assert section(safety=["lab-harmful"]).judged()[0].judge == "lab"
    assert section(safety=["xstest"], judge="lab").judged()[0].judge == "lab"  # as it was asked for
