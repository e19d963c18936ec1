"""Recipes of kind data, and building from them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from data_recipes import recipe_of

from lrmctl.builders.run import BuiltData, build
from lrmctl.recipe.load import LoadedRecipe

Build = Callable[..., BuiltData]


@pytest.fixture
def written(tmp_path: Path) -> Callable[..., LoadedRecipe]:
    """Writes and loads a recipe, the lab's by default."""
    return lambda **sections: recipe_of(tmp_path, **sections)


@pytest.fixture
def built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Build:
    """Builds a recipe below the test's own folder of runs."""
    monkeypatch.setenv("LRMCTL_RUNS_HERE", str(tmp_path / "runs"))

    def call(on_stage: Any = None, **sections: Any) -> BuiltData:
        return build(recipe_of(tmp_path, **sections), runs_dir=tmp_path / "runs", on_stage=on_stage)

    return call
