from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from compared import evaluated, row

import lrmctl


@pytest.fixture
def taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the analysis of a run is asked for."""
    evaluated(tmp_path / "run", [row("a", True)], model="a-server")
    seen: dict[str, Any] = {"run": tmp_path / "run"}

    def noted(*asked: Any, **_: Any) -> dict[str, Any]:
        _, _, seen["section"] = asked
        return {}

    monkeypatch.setattr("lrmctl.analysis.analyze", noted)
    return seen


def test_nothing_is_judged_or_generated_unless_it_is_asked_for(taken: dict[str, Any]) -> None:
    lrmctl.analyze(taken["run"], on_warning=lambda _: None)
    section = taken["section"]
    assert (section.transitions, section.early, section.recovery, section.confirm) == (None, None, None, None)
    assert section.lexicons == ("cyclicreflex",)  # the lab's words are for the lab's models


def test_a_part_that_is_asked_for_has_its_own_defaults_and_not_the_demos(taken: dict[str, Any]) -> None:
    lrmctl.analyze(taken["run"], overrides={"analysis.transitions.judge": "rules"}, on_warning=lambda _: None)
    transitions = taken["section"].transitions
    assert (transitions.judge, transitions.by, transitions.lexicon) == ("rules", "paragraph", "self-correction")


def test_a_recipe_that_is_named_is_taken_whole(taken: dict[str, Any]) -> None:
    lrmctl.analyze(taken["run"], recipe="demo", on_warning=lambda _: None)
    assert taken["section"].transitions.judge == "lab"
    assert taken["section"].early is not None
