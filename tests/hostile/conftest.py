"""The command line in this process, in an empty working folder, and evaluated runs as it leaves them."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
from stub_backend import stub_backend as stub_backend

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
    analyze(base_path(), folder.path, study.recipe.analysis)  # type: ignore[union-attr]
    shutil.copytree(folder.path, runs / "b")
    return runs


@pytest.fixture
def runs(made_runs: Path, tmp_path: Path) -> Path:
    """A copy of the made runs where the command line looks for them, to be damaged."""
    shutil.copytree(made_runs, tmp_path / "runs")
    return tmp_path / "runs"


@pytest.fixture
def place(runs: Path, tmp_path: Path) -> Path:
    """A working folder with runs, good files and all sorts of bad ones."""
    (tmp_path / "rows.jsonl").write_bytes((runs / "a" / "eval" / "rows.jsonl").read_bytes())
    rows = [
        {"prompt": f"p{i}", "response": "x" * n, "label": label}
        for i in range(4)
        for n, label in ((5, "disallowed_completion"), (50, "ideal"))
    ]
    (tmp_path / "labelled.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "rollouts.jsonl").write_text("")
    (tmp_path / "text").write_text("years of work")
    (tmp_path / "folder").mkdir()
    for end in ("json", "jsonl", "yaml"):
        (tmp_path / f"damaged.{end}").write_text('{"a": [1\n')
    (tmp_path / "empty.jsonl").write_text("")
    (tmp_path / "binary.jsonl").write_bytes(bytes(range(256)))
    (tmp_path / "nested.jsonl").write_text("[" * 2000 + "\n")
    (tmp_path / "loop").symlink_to("loop")
    os.mkfifo(tmp_path / "pipe.jsonl")
    (tmp_path / "locked").mkdir(mode=0o555)
    return tmp_path
