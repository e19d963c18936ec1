from __future__ import annotations

import json
from pathlib import Path

import pytest
from exported import evaluated

from lrmctl.errors import LrmctlError
from lrmctl.export.inspect import fenced
from lrmctl.export.source import ExportedEvaluation


def test_sets_whose_names_look_alike_in_a_file_name_stay_apart(tmp_path: Path) -> None:
    folder = evaluated(tmp_path)
    summary = json.loads((folder / "summary.json").read_text())
    summary["sets"] = [
        entry | {"set": name, "kind": "harmful"}
        for entry, name in zip(summary["sets"], ("a/b", "a b", "../a"), strict=True)
    ]
    (folder / "summary.json").write_text(json.dumps(summary))
    slugs = [cell.slug for cell in ExportedEvaluation(folder, "run").cells]
    assert slugs == ["a-b-harmful-t0.6", "a-b-harmful-t0.6-2", "a-harmful-t0.6"]


def test_an_evaluation_without_a_summary_is_named(tmp_path: Path) -> None:
    folder = evaluated(tmp_path)
    (folder / "summary.json").unlink()
    with pytest.raises(LrmctlError, match="nothing to export"):
        _ = ExportedEvaluation(folder, "run").cells


def test_no_text_leaves_its_block() -> None:
    block = fenced("a ``` b ````` c")
    assert block.startswith("``````text\n")
    assert block.endswith("\n``````")
