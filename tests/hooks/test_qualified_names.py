"""A name that two distributions register is used with its distribution in front; names may have colons themselves."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from lrmctl.errors import NotFoundError, PluginError, RecipeError
from lrmctl.hooks import registry as shared
from lrmctl.hooks.registry import Registry

Install = Callable[..., None]
Source = Callable[[str], str]


@pytest.fixture
def rivals(install: Install, reward_source: Source) -> Registry:
    """Two distributions with a reward of the same name."""
    install("acme-one", "acme_one", reward_source("brevity"))
    install("Acme_Two", "acme_two", reward_source("brevity"))
    return Registry()


def test_a_qualified_name_picks_the_distributions_own(rivals: Registry) -> None:
    assert rivals.find("reward", "acme-one:brevity").distribution == "acme-one"
    assert rivals.find("reward", "acme-two:brevity").distribution == "Acme_Two"
    assert rivals.make("reward", "Acme.Two:brevity", limit=3).limit == 3  # as installers compare names


def test_the_error_and_the_list_name_what_to_write(rivals: Registry) -> None:
    with pytest.raises(PluginError) as raised:
        rivals.find("reward", "brevity")
    assert {"'acme-one:brevity'", "'acme-two:brevity'"} <= set(raised.value.fix.split())
    listed = {e.name for e in rivals.names("reward") if not e.builtin}
    assert listed == {"acme-one:brevity", "acme-two:brevity"}
    assert "'acme-one:brevity' for this one" in next(p for p in rivals.problems() if p.distribution == "acme-one").error


def test_a_name_may_be_qualified_without_need(install: Install, reward_source: Source) -> None:
    install("acme-rewards", "acme_mod", reward_source("brevity"))
    assert Registry().find("reward", "acme-rewards:brevity").name == "acme-rewards:brevity"
    with pytest.raises(NotFoundError, match="no reward called 'acme-rewards:levity'"):
        Registry().find("reward", "acme-rewards:levity")


def test_a_built_in_name_that_a_plugin_also_has_is_still_the_built_in_one(
    install: Install, reward_source: Source
) -> None:
    install("acme-thief", "acme_thief", reward_source("format"))
    registry = Registry()
    assert registry.find("reward", "format").builtin
    assert registry.find("reward", "acme-thief:format").distribution == "acme-thief"


def test_a_name_with_a_colon_is_a_name_unless_it_reads_as_another_distributions(
    install: Install, reward_source: Source
) -> None:
    install("acme-colon", "acme_colon", reward_source("acme-one:brevity"))
    registry = Registry()
    assert registry.find("reward", "acme-one:brevity").distribution == "acme-colon"
    install("acme-one", "acme_one", reward_source("brevity"))
    registry = Registry()
    assert registry.find("reward", "acme-one:brevity").distribution == "acme-one"
    assert registry.find("reward", "acme-colon:acme-one:brevity").distribution == "acme-colon"
    assert registry.find("reward", "brevity").distribution == "acme-one"
    (problem,) = registry.problems()
    assert "write 'acme-colon:acme-one:brevity' for this one" in problem.error


def test_two_entry_points_of_one_distribution_cannot_have_one_name(install: Install, reward_source: Source) -> None:
    points = "[lrmctl]\none = acme_twice\nother = acme_twice\n"
    install("acme-twice", "acme_twice", reward_source("brevity"), entry_points=points)
    registry = Registry()
    assert registry.find("reward", "brevity").distribution == "acme-twice"
    (problem,) = registry.problems()
    assert "two of its entry points register the reward 'brevity'" in problem.error


def test_a_recipe_writes_qualified_names_and_its_lock_records_the_distribution(
    rivals: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lrmctl.preflight.validate import check_plugins
    from lrmctl.recipe.load import load_recipe
    from lrmctl.recipe.lock import plugin_versions

    monkeypatch.setattr(shared._default, "_third_party", rivals._third_party)
    file = tmp_path / "short.yaml"
    recipe = (
        "kind: rl\nname: short\nmodel: lab:tiny\nprompts: [{use: lab-prompts}]\nreward: {components: [{use: NAME}]}\n"
    )
    file.write_text(recipe.replace("NAME", "'acme-two:brevity'"))
    loaded = load_recipe(str(file))
    assert "acme-two:brevity" in [entry.name for entry in check_plugins(loaded)]
    assert plugin_versions(loaded) == {"Acme_Two": "1.2"}
    file.write_text(recipe.replace("NAME", "brevity"))
    with pytest.raises(RecipeError, match="'acme-one:brevity'"):
        check_plugins(load_recipe(str(file)))
