"""A study survives being killed: the same command goes on, repeats nothing, and leaves no process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

pytestmark = pytest.mark.e2e

STUDY = """
kind: study
name: small
arms:
  - {name: sft, label: SFT, recipe: lab/sft-mixed, set: {train.epochs: 1, data.sources.0.options.n: 32}}
  - {name: broken, label: Broken, recipe: lab/sft-mixed, set: {data.max_len: 8}}
evaluation:
  safety: [{use: lab-harmful, options: {n: 8}}, {use: lab-benign, options: {n: 8}}]
  reasoning: [lab_arithmetic]
  temperatures: [0.6]
  samples: 2
  max_new_tokens: 64
  limit: 8
analysis: {max_traces: 16}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("study")
    (path / "small.yaml").write_text(STUDY)
    return path


def start(folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "lrmctl", "study", "small.yaml"],
        cwd=folder,
        env={**os.environ, "LRMCTL_TEST": str(folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def left_over(folder: Path) -> list[str]:
    """Command lines of living processes that the study started."""
    found = []
    for process in psutil.process_iter(["environ", "status", "cmdline"]):
        if process.info["status"] != psutil.STATUS_ZOMBIE and (process.info["environ"] or {}).get("LRMCTL_TEST") == str(
            folder
        ):
            found.append(" ".join(process.info["cmdline"] or []))
    return found


def wait_until_gone(folder: Path, seconds: float) -> list[str]:
    deadline = time.monotonic() + seconds
    while (alive := left_over(folder)) and time.monotonic() < deadline:
        time.sleep(0.2)
    return alive


def stamps(folder: Path) -> dict[str, float]:
    return {str(p.relative_to(folder)): p.stat().st_mtime for p in folder.glob("runs/small/*/stages/*.json")}


@pytest.mark.slow
def test_killed_it_goes_on_where_it_was_and_reports_the_arm_that_failed(folder):
    first = start(folder)
    for line in first.stderr:
        if line.startswith("done"):
            break
    first.send_signal(signal.SIGKILL)
    first.wait()
    before = stamps(folder)
    assert before, "nothing was finished before the kill"
    assert wait_until_gone(folder, 40) == []

    second = start(folder)
    _, err = second.communicate(timeout=400)
    assert second.returncode == 3, err
    assert "0 rows for" in err  # known only when the data has been read
    assert err.rstrip().splitlines()[-1] == "to continue: lrmctl study small.yaml"
    assert {k: v for k, v in stamps(folder).items() if k in before} == before
    assert {Path(k).parent.parent.name for k in stamps(folder)} == {"base", "sft"}
    assert (folder / "runs/small/report.html").is_file()
    assert wait_until_gone(folder, 5) == []


def test_run_again_it_repeats_nothing_and_the_table_is_the_same(folder):
    if not (folder / "runs/small/table.json").exists():
        pytest.skip("needs the study of the test before it")
    table, before = (folder / "runs/small/table.json").read_text(), stamps(folder)
    again = start(folder)
    _, err = again.communicate(timeout=200)
    assert "kept    sft train" in err
    assert stamps(folder) == before
    assert json.loads((folder / "runs/small/table.json").read_text()) == json.loads(table)


def test_another_recipe_under_the_same_name_is_refused(folder):
    if not (folder / "runs/small/study.json").exists():
        pytest.skip("needs the study of the first test")
    (folder / "small.yaml").write_text(STUDY.replace("samples: 2", "samples: 3"))
    other = start(folder)
    _, err = other.communicate(timeout=60)
    assert other.returncode == 2
    assert "--name" in err
