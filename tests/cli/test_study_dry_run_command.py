"""`lrmctl study --dry-run`: the cells and what they take, as text and as JSON; nothing is started."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from conftest import Lrmctl

STUDY = """
kind: study
name: planned
bases: [lab:tiny, {name: other, model: lab:tiny}]
arms:
  - {name: rl, recipe: lab/rl, set: {algorithm.steps: 2}}
evaluation:
  safety: [{use: lab-harmful, options: {n: 8}}, {use: lab-benign, options: {n: 8}}]
"""


def test_it_prints_the_cells_and_starts_nothing(lrmctl: Lrmctl, tmp_path: Path) -> None:
    (tmp_path / "study.yaml").write_text(STUDY)
    told = lrmctl("study", str(tmp_path / "study.yaml"), "--dry-run", "--runs-dir", str(tmp_path / "runs"))
    assert told.code == 0, told.err
    assert "planned: 4 cells on 2 base(s) with one training seed" in told.out
    assert "hours and GPU hours: not estimated" in told.out
    assert not (tmp_path / "runs" / "planned").exists()
    found = lrmctl("study", str(tmp_path / "study.yaml"), "--dry-run", "--json")
    data = json.loads(found.out)["data"]
    assert (data["cells"], data["bases"], data["seeds"]) == (4, ["lab-tiny", "other"], [0])
    assert data["totals"]["train"]["runs"] == 2


def test_json_without_a_dry_run_is_refused(lrmctl: Lrmctl) -> None:
    refused = lrmctl("study", "demo", "--json")
    assert refused.code == 2
    assert "--json is for --dry-run" in refused.err
