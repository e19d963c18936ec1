"""The page of a study of several bases and seeds, and a report's differences to each arm's own start."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from grid_study import grid_study
from report_fixtures import make_arm, read

from lrmctl.comparison import compare
from lrmctl.comparison.study_cells import cell_scores
from lrmctl.errors import LrmctlError
from lrmctl.reporting import build_report, report_study

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two bases, two seeds, two arms; one cell failed in training."""
    folder = grid_study(tmp_path_factory.mktemp("runs") / "grid", tmp_path_factory.mktemp("made"))
    report_study(folder, traces=0)
    return folder


def test_every_cell_has_its_headline_figures_and_a_hole_its_reason(study: Path) -> None:
    page, table = (study / "report.html").read_text(), read(study / "table.json")
    assert len(table["cells"]) == 10
    by_path = {cell["path"]: cell for cell in table["cells"]}
    summary = read(study / "x/seed-0/rl/eval/summary.json")
    (entry,) = [e for e in summary["sets"] if (e["kind"], e["temperature"]) == ("harmful", 0.6)]
    assert by_path["x/seed-0/rl"]["figures"]["joint_safe"] == entry["metrics"]["joint_safe"]
    assert by_path["y/seed-1/rl"]["hole"].startswith("no <memory>")
    assert not any(by_path["y/seed-1/rl"]["figures"].values())
    assert "no &lt;memory&gt;" in page
    assert page.count('data-arm="rl"') == page.count('data-base="x" data-arm="rl"') * 2


def test_each_group_has_its_own_report_with_its_own_base(study: Path) -> None:
    page = (study / "report.html").read_text()
    for group in ("x/seed-0", "x/seed-1", "y/seed-0", "y/seed-1"):
        assert f'href="{group}/report.html"' in page
        assert (study / group / "report.html").is_file()
    assert "A grid: y, seed 1" in (study / "y/seed-1/report.html").read_text()
    assert "y/seed-1/rl failed: no &lt;memory&gt;" in (study / "y/seed-1/report.html").read_text()


def test_differences_to_the_own_start_are_those_of_compare(study: Path) -> None:
    group = study / "x/seed-0"
    (found,) = read(group / "table.json")["deltas_to_start"]
    assert (found["name"], found["start"]) == ("rl", "sft-mixed")
    assert found["deltas"] == [d.to_json() for d in compare(group / "sft-mixed", group / "rl")]
    page = (group / "report.html").read_text()
    assert "<small>from SFT-MIXED</small>" in page


def test_a_report_in_which_all_start_from_the_base_has_no_such_section(tmp_path: Path) -> None:
    arms = [make_arm(tmp_path, name, n=4) for name in ("base", "rl")]
    page = build_report(arms, tmp_path / "r.html", title="t", traces=0).read_text()
    assert "own start" not in page
    assert read(tmp_path / "table.json")["deltas_to_start"] == []


def test_a_start_that_is_not_in_the_report_is_named(tmp_path: Path) -> None:
    base, rl = (make_arm(tmp_path, name, n=4) for name in ("base", "rl"))
    build_report([base, rl._replace(start="warm")], tmp_path / "r.html", title="t", traces=0)
    (found,) = read(tmp_path / "table.json")["deltas_to_start"]
    assert found["not_paired"] == "its start, warm, is not in this report"


def test_evaluated_training_steps_are_drawn_in_one_figure_with_what_it_ends_at(tmp_path: Path) -> None:
    base, rl = (make_arm(tmp_path, name, n=4) for name in ("base", "rl"))
    for step, arm in ((20, rl), (3, base)):
        shutil.copytree(arm.path / "eval", rl.path / f"eval-step-{step}")
    page = build_report([base, rl], tmp_path / "r.html", title="t", traces=0).read_text()
    summary = read(rl.path / "eval-step-20" / "summary.json")
    (entry,) = [e for e in summary["sets"] if (e["kind"], e["temperature"]) == ("benign", 0.6)]
    assert page.count("Evaluated at training steps, %.") == 1
    assert f"over-refusal ends at {100 * entry['metrics']['refused']['value']:.1f}" in page
    assert "2 steps evaluated" in page


def test_scores_of_cells_are_read_for_statistics(study: Path) -> None:
    found = {one.cell.path: one for one in cell_scores(study)}
    assert len(found) == 10
    assert found["y/seed-1/rl"].scores == {}
    assert found["y/seed-1/rl"].cell.failed
    harmful = next(one for key, one in found["x/seed-0/rl"].scores.items() if key.kind == "harmful")
    assert len(harmful.means("joint_safe")) == len(harmful.index) == 6


def test_a_damaged_summary_is_named(study: Path, tmp_path: Path) -> None:
    copy = tmp_path / "grid"
    shutil.copytree(study, copy)
    (copy / "y/seed-0/rl/eval/summary.json").write_text("{")
    with pytest.raises(LrmctlError) as error:
        report_study(copy, traces=0)
    assert "y/seed-0/rl" in str(error.value)
