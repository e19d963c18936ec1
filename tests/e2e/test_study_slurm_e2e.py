"""A study through a real Slurm: the table of a run on this machine, and a kill in mid-run that repeats nothing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from real_slurm import slurm_of_one_node, wait_until_idle

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

STUDY = """
kind: study
name: two
start: sft
arms:
  - {name: sft, label: SFT, recipe: lab/sft-mixed, set: {train.epochs: 1, data.sources.0.options.n: 16}, keep: false}
  - {name: more, label: More, recipe: lab/sft-harmful, set: {train.epochs: 1, data.sources.0.options.n: 16}}
evaluation:
  safety: [{use: lab-harmful, options: {n: 4}}, {use: lab-benign, options: {n: 4}}]
  samples: 1
  max_new_tokens: 16
analysis: {entropy: false}
"""
ON_SLURM = """
launch: {via: slurm, options: {gpus-per-node: 0}, setup: [export LRMCTL_IN_SETUP=1]}
"""
STAGES = {
    "base": ("eval", "analyze"),
    "sft": ("train", "eval", "analyze", "remove"),
    "more": ("train", "eval", "analyze"),
}
ALL = {(cell, stage) for cell, stages in STAGES.items() for stage in stages}


@pytest.fixture(scope="module")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with slurm_of_one_node(tmp_path_factory.mktemp("slurm")) as here:
        yield here


@pytest.fixture(scope="module")
def local_table(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("local")
    (folder / "two.yaml").write_text(STUDY)
    _, err = start(folder).communicate()
    return table(folder, err)


def start(folder: Path) -> subprocess.Popen[str]:
    env = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    words = [sys.executable, "-m", "lrmctl", "study", "two.yaml"]
    return subprocess.Popen(words, cwd=folder, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def table(folder: Path, err: str) -> Any:
    file = folder / "runs" / "two" / "table.json"
    assert file.exists(), err
    return json.loads(file.read_text())


def job_ids(folder: Path) -> dict[tuple[str, str], str]:
    files = folder.glob("runs/two/jobs/*/*/job.json")
    return {(f.parent.parent.name, f.parent.name): json.loads(f.read_text())["id"] for f in files}


def is_stamped(folder: Path, cell: str, stage: str) -> bool:
    return (folder / "runs" / "two" / cell / "stages" / f"{stage}.json").exists()


def submitted() -> int:
    """Jobs that this Slurm has ever taken."""
    wait_until_idle()
    words = ["sbatch", "--parsable", "--output=/dev/null", "--wrap", "true"]
    number = int(subprocess.run(words, capture_output=True, text=True, check=True).stdout)
    return number - 1


@pytest.mark.usefixtures("slurm")
def test_a_study_through_slurm_gives_the_same_table(tmp_path: Path, local_table: Any) -> None:
    before = submitted() + 1
    (tmp_path / "two.yaml").write_text(STUDY + ON_SLURM)
    _, err = start(tmp_path).communicate()
    assert table(tmp_path, err) == local_table
    assert set(job_ids(tmp_path)) == ALL
    assert submitted() - before == len(ALL)
    assert not list((tmp_path / "runs/two/sft/model").glob("*.safetensors"))


@pytest.mark.usefixtures("slurm")
def test_killed_in_mid_run_every_stage_runs_once_and_the_table_is_the_same(tmp_path: Path, local_table: Any) -> None:
    before = submitted() + 1
    (tmp_path / "two.yaml").write_text(STUDY + ON_SLURM)
    first = start(tmp_path)
    while not is_stamped(tmp_path, "sft", "train"):
        assert first.poll() is None, first.communicate()
        time.sleep(0.2)
    first.send_signal(signal.SIGKILL)
    first.communicate()
    ids = job_ids(tmp_path)
    assert set(ids) == ALL
    assert not is_stamped(tmp_path, "more", "analyze")
    second = start(tmp_path)
    _, err = second.communicate()
    assert second.returncode == 0, err
    assert table(tmp_path, err) == local_table
    assert "goes on as job" in err
    assert job_ids(tmp_path) == ids
    assert submitted() - before == len(ALL)


@pytest.mark.usefixtures("slurm")
def test_an_interrupt_leaves_no_job_and_a_failed_stage_only_skips_what_needs_it(tmp_path: Path) -> None:
    broken = STUDY.replace(
        "arms:", "arms:\n  - {name: broken, recipe: lab/sft-mixed, from: base, set: {data.max_len: 8}}"
    )
    followed = broken.replace("evaluation:", "  - {name: after, recipe: lab/sft-mixed, from: broken}\nevaluation:")
    (tmp_path / "two.yaml").write_text(followed + ON_SLURM)
    first = start(tmp_path)
    while not is_stamped(tmp_path, "base", "eval"):
        assert first.poll() is None, first.communicate()
        time.sleep(0.2)
    first.send_signal(signal.SIGINT)
    first.communicate()
    left = subprocess.run(["squeue", "-h", "-o", "%j %T"], capture_output=True, text=True, check=True).stdout
    assert left == ""
    second = start(tmp_path)
    _, err = second.communicate()
    assert second.returncode == 3, err
    assert "0 rows for" in err
    assert "its start, broken, failed" in err
    assert {cell for cell in STAGES if is_stamped(tmp_path, cell, "analyze")} == set(STAGES)
    assert not is_stamped(tmp_path, "after", "train")
    wait_until_idle()
    assert subprocess.run(["squeue", "-h"], capture_output=True, text=True, check=True).stdout == ""
