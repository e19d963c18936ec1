"""Recipes and reasoning tasks of plugins are named, listed and used like those that come with lrmctl."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from lrmctl.cli.app import app
from lrmctl.errors import NotFoundError, PluginError, RecipeError
from lrmctl.hooks import registry
from lrmctl.reasoning import reasoning_task, task_names
from lrmctl.recipe.find import find_recipe
from lrmctl.recipe.load import load_recipe

Install = Callable[..., None]

RECIPES = """
from pathlib import Path
from lrmctl import hookimpl

@hookimpl
def lrmctl_recipes(register):
    folder = Path({folder!r})
    register("acme/brief", lambda: folder / "brief.yaml", summary="RL with a longer answer")
    register("acme/gone", lambda: folder / "gone.yaml", summary="a file that is not there")
    register("lab/rl", lambda: folder / "brief.yaml", summary="a shipped name")
"""

TASKS = '''
from lrmctl import Prompt, hookimpl
from lrmctl.reasoning import GradedTrace, ReasoningTask, graded

def doubling(n: int = 50):
    """Numbers times two."""
    def load(limit):
        asked = range(n if limit is None else min(n, limit))
        return [Prompt.user(f"doubling/{i}", f"2 * {i} = ?", "reasoning", reference=str(2 * i)) for i in asked]

    def grade(trace):
        return graded(trace, lambda answer: GradedTrace(answer.strip() == trace.prompt.reference, answer.strip()))

    return ReasoningTask("doubling", load, "CC0-1.0", "https://example.org", "test", grade, ("exact", "1"))

@hookimpl
def lrmctl_reasoning_tasks(register):
    register("doubling", doubling)
    register("nothing", dict, summary="makes no task")
'''


@pytest.fixture(autouse=True)
def afresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """The process's registry forgets what it loaded, before and after."""
    monkeypatch.setattr(registry._default, "_third_party", None)


@pytest.fixture
def recipes(tmp_path: Path, install: Install) -> Path:
    (tmp_path / "brief.yaml").write_text("extends: lab/rl\nname: acme-brief\nrollout: {max_new_tokens: 64}\n")
    install("acme-recipes", "acme_recipes", RECIPES.format(folder=str(tmp_path)))
    return tmp_path


def test_a_plugins_recipe_is_named_like_a_shipped_one(recipes: Path) -> None:
    assert find_recipe("acme/brief") == (recipes / "brief.yaml",)
    loaded = load_recipe("acme/brief", ["algorithm.steps=2"])
    assert (loaded.recipe.name, loaded.recipe.kind) == ("acme-brief", "rl")
    assert load_recipe("acme-recipes:acme/brief").recipe.name == "acme-brief"


@pytest.mark.usefixtures("recipes")
def test_a_shipped_recipe_cannot_be_replaced() -> None:
    assert find_recipe("lab/rl")[0].name == "rl.yaml"


@pytest.mark.usefixtures("recipes")
def test_a_recipe_that_is_not_there_is_the_plugins_fault() -> None:
    with pytest.raises(PluginError, match=r"acme/gone.*acme-recipes.*no file"):
        find_recipe("acme/gone")


@pytest.mark.usefixtures("recipes")
def test_a_misspelt_name_is_compared_with_plugins_recipes_too() -> None:
    with pytest.raises(NotFoundError) as raised:
        find_recipe("acme/breif")
    assert "did you mean 'acme/brief'" in str(raised.value)


def test_the_list_says_where_plugins_recipes_are_and_loads_none(
    recipes: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert recipes
    app(["recipe", "list"], standalone_mode=False)
    assert "lrmctl plugin list recipe" in capfd.readouterr().err
    assert registry._default._third_party is None


def test_a_plugin_that_may_offer_the_recipe_is_named_if_it_did_not_load(install: Install) -> None:
    install("acme-broken", "acme_broken", "import a_module_that_is_not_there")
    with pytest.raises(NotFoundError, match="acme-broken: ModuleNotFoundError"):
        find_recipe("acme/brief")


def test_a_plugins_task_is_made_listed_and_grades(install: Install) -> None:
    install("acme-tasks", "acme_tasks", TASKS)
    task = reasoning_task("doubling", {"n": 3})
    assert [prompt.reference for prompt in task.load(None)] == ["0", "2", "4"]
    facts = next(facts for facts in task_names() if facts.name == "doubling")
    assert (facts.distribution, facts.summary) == ("acme-tasks", "Numbers times two.")


def test_what_is_wrong_with_a_plugins_task_is_told(install: Install) -> None:
    install("acme-tasks", "acme_tasks", TASKS)
    with pytest.raises(RecipeError, match="has no option 'm'"):
        reasoning_task("doubling", {"m": 3})
    with pytest.raises(PluginError, match="is a dict"):
        reasoning_task("nothing")
    with pytest.raises(NotFoundError, match="no reasoning task called 'dubling'"):
        reasoning_task("dubling")
