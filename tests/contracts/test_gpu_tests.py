"""The tests of `tests/gpu` on a machine without a GPU: all are skipped, each with its reason, and none by default."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from gpu_figures import Figures

ROOT = Path(__file__).resolve().parents[2]


def run_pytest(*words: str, **env: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *words, "tests/gpu"]
    env = {**os.environ, "PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": "", **env}
    return subprocess.run(argv, capture_output=True, text=True, timeout=300, cwd=ROOT, env=env)


@pytest.mark.e2e
def test_without_a_gpu_every_test_is_skipped_and_listed(tmp_path: Path) -> None:
    done = run_pytest("-m", "gpu", "--confcutdir=tests/gpu", LRMCTL_GPU_RESULTS=str(tmp_path))
    assert done.returncode == 0, done.stdout
    found = json.loads((tmp_path / "figures.json").read_text(encoding="utf-8"))
    assert len(found["skipped"]) > 20
    assert f"{len(found['skipped'])} skipped" in done.stdout.splitlines()[-1]
    assert all("sees no CUDA device" in one["reason"] for one in found["skipped"])
    assert "not run" in (tmp_path / "figures.md").read_text(encoding="utf-8")


@pytest.mark.e2e
def test_they_are_not_part_of_a_plain_run() -> None:
    done = run_pytest("--collect-only")
    assert done.returncode == 5, done.stdout  # nothing was selected
    assert "deselected" in done.stdout


def test_figures_become_a_table(tmp_path: Path) -> None:
    figures = Figures()
    figures.add("memory", "an SFT step: planned over allocated", 1.0625, "times", "1,062 against 1,000 MiB")
    figures.add("entropy", "all logits at once", "out of memory")
    figures.skipped |= {
        "tests/gpu/a.py::test_a": "not installed: vllm",
        "tests/gpu/a.py::test_b": "not installed: vllm",
    }
    figures.write(tmp_path)
    lines = (tmp_path / "figures.md").read_text(encoding="utf-8").splitlines()
    assert "| memory | an SFT step: planned over allocated | 1.06 times | 1,062 against 1,000 MiB |" in lines
    assert "| entropy | all logits at once | out of memory |  |" in lines
    assert lines[-1] == "* 2 not run, not installed: vllm: test_a, test_b"
    assert json.loads((tmp_path / "figures.json").read_text(encoding="utf-8"))["figures"][0]["value"] == 1.0625
