"""Completions that a smoke run puts in place of those that a builder names."""

from __future__ import annotations

from pathlib import Path

import pytest

from lrmctl.builders.tasks import completions
from lrmctl.judges import make_judge
from lrmctl.recipe.load import load_recipe
from lrmctl.recipe.schema.recipes import DataRecipe
from lrmctl.smoke.data import shrink_data


@pytest.mark.parametrize("name", ["lab/data/correct", "lab/data/critique", "lab/data/intervene"])
def test_the_labs_judge_can_judge_them(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LRMCTL_RUNS_HERE", str(tmp_path / "runs"))  # without the run that the recipe names
    shrunk = shrink_data(load_recipe(name), tmp_path / "smoke", tmp_path / "runs")
    assert any("synthetic" in told for told in shrunk.replaced)
    assert isinstance(shrunk.loaded.recipe, DataRecipe)
    traces = [one.trace for one in completions(shrunk.loaded.recipe.build.of)]
    verdicts = make_judge("lab", {}).judge(traces, "answer")
    assert len(verdicts) == 4
    assert not any(verdict.failed for verdict in verdicts)
