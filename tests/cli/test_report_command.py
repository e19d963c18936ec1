"""`lrmctl report --figures`: a paper's files, or one clear refusal."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from report_fixtures import make_arm

Lrmctl = Callable[..., Any]


@pytest.mark.slow
@pytest.mark.e2e
def test_figures_and_tables_for_a_paper(lrmctl: Lrmctl, tmp_path: Path) -> None:
    make_arm(tmp_path / "runs", "rft", n=3, temperatures=(0.6,))
    assert lrmctl("report", "rft", "--figures", "paper").code == 0
    assert {p.suffix for p in (tmp_path / "paper").iterdir()} == {".svg", ".pdf", ".png", ".tex", ".csv", ".json"}
    assert lrmctl("report", "rft", "--figures", "paper").code == 0  # again is fine


def test_a_folder_of_other_files_is_refused_before_anything_is_written(lrmctl: Lrmctl, tmp_path: Path) -> None:
    make_arm(tmp_path / "runs", "rft", n=3, temperatures=(0.6,))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "a.txt").write_text("x")
    refused = lrmctl("report", "rft", "--figures", "mine")
    assert refused.code == 2
    assert "--figures mine" in refused.err
    assert "add --force" in refused.err
    assert not (tmp_path / "runs" / "rft" / "report.html").exists()
