"""The command line in this process, in an empty working folder, and evaluated runs as it leaves them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from lrmctl.runs.folder import RunFolder


@pytest.fixture(scope="session")
def made_runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A runs folder with `a`, trained as far as its files say and evaluated and analysed, and its like `b`."""
    from lrmctl.analysis import analyze
    from lrmctl.evaluation import evaluate
    from lrmctl.lab import base_path
    from lrmctl.recipe.load import load_recipe
    from lrmctl.recipe.lock import write_lock

    runs = tmp_path_factory.mktemp("made") / "runs"
    study = load_recipe("demo", ["evaluation.limit=2", "evaluation.samples=1", "evaluation.temperatures=[0.6]"])
    folder = RunFolder.create(runs, "a")
    write_lock(folder.lock, load_recipe("lab/rl"), model={"ref": "lab:tiny", "fingerprint": "0"})
    (folder.new_attempt() / "output.log").write_text("step 1\n")
    folder.metrics.write_text('{"step": 1, "total": 2, "reward": 0.5}\n{"step": 2, "total": 2, "reward": 0.75}\n')
    folder.set_status("done", steps=2, attempt=1)
    evaluate(base_path(), study.recipe.evaluation, folder.path, label="a")  # type: ignore[union-attr]
    analyze(None, folder.path, study.recipe.analysis)  # type: ignore[union-attr]
    shutil.copytree(folder.path, runs / "b")
    return runs


@pytest.fixture
def runs(made_runs: Path, tmp_path: Path) -> Path:
    """A copy of the made runs where the command line looks for them, to be damaged."""
    shutil.copytree(made_runs, tmp_path / "runs")
    return tmp_path / "runs"
