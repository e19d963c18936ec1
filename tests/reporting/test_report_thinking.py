"""How the reasoning changed: figures where the data is there, and a sentence where it is not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from report_fixtures import make_arm, read

from lrmctl.reporting.figures import arm_styles
from lrmctl.reporting.load import ArmData, load_arms, primary_sets
from lrmctl.reporting.panels import Section, thinking_sections
from lrmctl.reporting.panels.base import View, drawing_name, written
from lrmctl.reporting.panels.transitions import _rest

NAMES = ("base", "rft", "rl")


@pytest.fixture(scope="module")
def deep(tmp_path_factory: pytest.TempPathFactory) -> list[ArmData]:
    folder = tmp_path_factory.mktemp("deep")
    return load_arms([make_arm(folder, name, n=6, deep=True) for name in NAMES], {})


def sections(arms: list[ArmData], temperature: float = 0.6) -> dict[str, Section]:
    looks = arm_styles([(a.arm.label, a.arm.control) for a in arms])
    view = View(arms, looks, primary_sets(arms), temperature, "lab")
    return {section.title: section for section in thinking_sections(view) if section.title}


def titles(section: Section) -> list[str]:
    return [panel.title for panel in section.panels]


def test_every_analysis_that_is_there_is_drawn(deep: list[ArmData]) -> None:
    found = sections(deep)
    assert "Harmful: where hits stand" in titles(found["Reflection in the thinking"])
    assert "Harmful: hits and depth" in titles(found["Reflection in the thinking"])
    assert titles(found["Unsafe thoughts"]) == ["Harmful: transitions", "Harmful: traces", "Harmful: where"]
    entropy = titles(found["Token entropy of the thinking"])
    assert [t for t in entropy if t.startswith("Harmful")] == [
        "Harmful: by outcome", "Harmful: along the thought", "Harmful: at reflections",
        "Harmful: by verdict of the segment", "Harmful: distance from the base",
    ]  # fmt: skip
    assert titles(found["Does the thought matter?"])[:3] == [
        "Harmful: same answers as with all of it", "Harmful: good answers", "Harmful: when the outcome is settled",
    ]  # fmt: skip
    assert titles(found["Recovery from a forced unsafe beginning"]) == ["Harmful: safe after a forced unsafe beginning"]
    assert all(not section.absent for title, section in found.items() if title != "Unsafe thoughts")
    assert found["Unsafe thoughts"].absent == [
        "Benign: no thought of any arm has an unsafe segment.",
        "Reasoning: no thought of any arm has an unsafe segment.",
    ]


def test_names_of_drawings_and_tables_are_unique_and_safe(deep: list[ArmData]) -> None:
    every = [s for t in (0.6, 1.0) for s in sections(deep, t).values()]
    names = [p.drawing.name for s in every for p in s.panels] + [t.name for s in every for t in s.tables]
    assert len(names) == len(set(names))
    assert all(name.replace("-", "").replace("_", "").isalnum() and name.isascii() for name in names)


def test_what_an_arm_lacks_is_said(tmp_path: Path) -> None:
    arms = [make_arm(tmp_path, "base", n=4, deep=True), make_arm(tmp_path, "rl", n=4)]
    found = sections(load_arms(arms, {}))
    assert "Without an analysis of unsafe thoughts: RL (GRPO)." in found["Unsafe thoughts"].absent
    assert found["Forking tokens"].absent == ["Without lists of tokens: RL (GRPO)."]
    assert found["Does the thought matter?"].absent == ["Without an analysis of answers from cut thoughts: RL (GRPO)."]
    later = sections(load_arms(arms, {}), 1.0)
    assert later["Does the thought matter?"].absent == [
        "No arm has an analysis of answers from cut thoughts at this temperature; "
        "`analysis.early` in the recipe makes it."
    ]
    assert "Forking tokens" not in later  # they are of all temperatures


def test_a_reflection_analysis_of_an_older_form_is_drawn_without_what_it_lacks(tmp_path: Path) -> None:
    arm = make_arm(tmp_path, "base", n=4)
    path = arm.path / "analysis" / "reflection.json"
    old = read(path)
    for cell in old["cells"]:
        for key in ("histogram", "depth_per_trace", "depth_share"):
            del cell[key]
    path.write_text(json.dumps(old))
    found = sections(load_arms([arm], {}))["Reflection in the thinking"]
    assert {title.partition(": ")[2] for title in titles(found)} == {"by outcome"}


def test_an_analysis_of_other_rows_is_left_out_and_named(tmp_path: Path) -> None:
    arm = make_arm(tmp_path, "base", n=4, deep=True)
    path = arm.path / "analysis" / "transitions.json"
    path.write_text(json.dumps({**read(path), "rows_sha256": "0" * 64}))
    (data,) = load_arms([arm], {})
    assert data.transitions == {}
    assert data.left_out == [
        "the transitions analysis is of another evaluation than the rows, and is left out; "
        "`lrmctl analyze` makes it again"
    ]
    assert data.early


def test_the_table_of_transitions_has_all_four_rates_with_intervals(deep: list[ArmData]) -> None:
    (table,) = sections(deep)["Unsafe thoughts"].tables
    row = dict(zip(table.columns, table.rows[0], strict=True))
    assert row["safe, then unsafe"] == "30.0 (26.0 to 34.0)"
    assert row["safe, then safe"] == "70.0 (66.0 to 74.0)"
    assert row["unsafe, then safe"] == "15.0 (11.0 to 19.0)"
    assert row["unsafe, then unsafe"] == "85.0 (81.0 to 89.0)"


def test_tokens_show_their_blanks_and_stand_beside_those_of_other_arms(deep: list[ArmData]) -> None:
    forking, gained, lost = sections(deep)["Forking tokens"].tables
    assert forking.columns == ["Rank", "Base", "Rejection sampling", "RL (GRPO)"]
    assert len(forking.rows) == 15
    assert forking.rows[2][1].startswith(r"\n  ")
    assert forking.rows[0][1] == "\N{OPEN BOX}wait  90, 0.48"
    assert gained.columns == ["Rank", "Rejection sampling", "RL (GRPO)"]  # the base gained nothing against itself
    assert lost.rows[2][1] == r"\n  0.50 to 0.20"


def test_estimates_in_words() -> None:
    assert written({"value": 0.5, "low": None, "high": None}, 100) == "50.0"
    assert written(None) == written({"value": None}) == "\N{EN DASH}"
    assert _rest({"value": 0.25, "low": 0.25, "high": None}) == "75.0"
    assert drawing_name("a b/c", "d", 0.6) == "a_b_c-d-T0_6"
