"""A study whose stages are jobs of a real Ray cluster of a head and two worker nodes, on CPU."""

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
from ray_cluster import ray_cluster

from lrmctl.runs.jsonl import read_jsonl

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

STUDY = """
kind: study
name: small
arms:
  - {name: sft, recipe: lab/sft-mixed, set: {train.epochs: 1, data.sources.0.options.n: 16, backend.device: cpu}}
  - {name: rl, recipe: lab/rl, from: sft, set: {algorithm.steps: 1, backend.device: cpu}}
evaluation:
  safety: [{use: lab-harmful, options: {n: 8}}, {use: lab-benign, options: {n: 8}}]
  samples: 1
  max_new_tokens: 32
analysis: {entropy: true}
"""
STAGES = [f"{cell}/{stage}" for cell in ("base", "sft", "rl") for stage in ("train", "eval", "analyze")][1:]


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    with ray_cluster(workers=2, cpus=4, gpus=2) as address:
        yield address


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("local")
    done = subprocess.run(command(folder), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder


def command(folder: Path, address: str = "") -> list[str]:
    file = folder / "small.yaml"
    file.write_text(STUDY)
    words = [sys.executable, "-m", "lrmctl", "study", str(file), "--runs-dir", str(folder / "runs")]
    sets = {"launch.via": "ray", "launch.address": address, "launch.reward_host": "127.0.0.1"} if address else {}
    return [*words, *(word for key, value in sets.items() for word in ("--set", f"{key}={value}"))]


def table(folder: Path) -> Any:
    """Every figure, without paths, times and speeds."""
    found = json.loads((folder / "runs/small/table.json").read_text())
    return json.loads(json.dumps(found).replace(str(folder), ""))


def jobs_of(address: str, folder: Path) -> dict[str, list[str]]:
    """Stage -> the jobs that the cluster ran for it."""
    from ray.job_submission import JobSubmissionClient

    os.environ.pop("RAY_ADDRESS", None)
    found: dict[str, list[str]] = {}
    for job in JobSubmissionClient(address).list_jobs():
        if job.type.value == "SUBMISSION" and str(folder) in job.entrypoint:
            cell, stage = job.entrypoint.rpartition("/task.pickle")[0].split("/")[-2:]
            found.setdefault(f"{cell}/{stage}", []).append(str(job.submission_id))
    return found


def test_the_table_is_that_of_this_machine_and_every_stage_was_one_job(
    cluster: str, local: Path, tmp_path: Path
) -> None:
    done = subprocess.run(command(tmp_path, cluster), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert table(tmp_path) == table(local)
    jobs = jobs_of(cluster, tmp_path)
    assert {stage: len(ids) for stage, ids in jobs.items()} == dict.fromkeys(STAGES, 1)
    assert [row["step"] for row in read_jsonl(tmp_path / "runs/small/rl/metrics.jsonl")] == [1]


def test_a_killed_controller_finds_its_jobs_again_and_the_table_is_the_same(
    cluster: str, local: Path, tmp_path: Path
) -> None:
    kills = ["base/eval", "sft/train", "sft/eval", "rl/train", "rl/eval"]
    for stage in kills:
        process = subprocess.Popen(command(tmp_path, cluster), stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        record = tmp_path / "runs/small/jobs" / stage / "job.json"
        while not record.exists() and process.poll() is None:
            time.sleep(0.05)
        time.sleep(1.0)
        process.send_signal(signal.SIGKILL)
        process.wait()
    done = subprocess.run(command(tmp_path, cluster), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert table(tmp_path) == table(local)
    assert {stage: len(ids) for stage, ids in jobs_of(cluster, tmp_path).items()} == dict.fromkeys(STAGES, 1)
