"""docs/python.md from its first block to its last in one process, as a notebook runs it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from blocks import blocks

PAGE = "docs/python.md"


@pytest.mark.e2e
@pytest.mark.timeout(900)
def test_the_page_runs_as_one_notebook(tmp_path: Path) -> None:
    code = "\n".join(block.text for block in blocks("python") if block.page == PAGE)
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("LRMCTL_RUNS")}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**inherited, "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        timeout=800,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    shown = done.stdout
    assert "runs/base/eval" in shown
    assert "'metric': 'joint_unsafe'" in shown
    assert "['entropy', 'reflection']" in shown
    assert f"done {tmp_path}/runs/sft/model" in shown
    assert (tmp_path / "runs" / "base" / "report.html").is_file()
