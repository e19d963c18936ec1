"""The copy of the metrics at Weights & Biases: only where the environment asks for it, and never in the way."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from lrmctl.runs.folder import RunFolder
from lrmctl.runs.tracking import wandb_logger


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunFolder:
    for name in ("WANDB_API_KEY", "WANDB_MODE"):
        monkeypatch.delenv(name, raising=False)
    made = RunFolder(tmp_path / "run")
    made.path.mkdir()
    made.lock.write_text("{}")
    return made


def test_nothing_happens_unless_the_environment_asks_for_it(folder: RunFolder) -> None:
    said: list[str] = []
    with wandb_logger(folder, {}, said.append) as log:
        log(1, {"reward": 0.5})
    assert said == []
    assert list(folder.path.iterdir()) == [folder.lock]


@pytest.mark.skipif(find_spec("wandb") is not None, reason="wandb is installed")
def test_without_wandb_it_is_said_and_the_run_goes_on(folder: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_API_KEY", "not-a-real-key")
    said: list[str] = []
    with wandb_logger(folder, {}, said.append) as log:
        log(1, {"reward": 0.5})
    assert "not installed" in said[0]
    assert "not-a-real-key" not in said[0]


SCRIPT = """
import sys
from pathlib import Path
from lrmctl.runs.folder import RunFolder
from lrmctl.runs.tracking import mirror
with mirror(RunFolder(Path(sys.argv[1])), {"kind": "rl"}, print) as log:
    log(int(sys.argv[2]), {"reward": 0.5})
"""


@pytest.mark.skipif(find_spec("wandb") is None, reason="wandb is not installed")
def test_both_attempts_of_a_run_are_one_run_at_wandb(folder: RunFolder) -> None:
    env = {**os.environ, "WANDB_MODE": "offline"}
    for step in ("1", "2"):
        subprocess.run([sys.executable, "-c", SCRIPT, str(folder.path), step], env=env, check=True)
    runs = [path.stem for path in (folder.logs / "wandb").glob("offline-run-*/*.wandb")]
    assert len(runs) == 2
    assert len(set(runs)) == 1
