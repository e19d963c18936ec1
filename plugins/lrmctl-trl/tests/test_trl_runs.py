"""Real trainings of the lab's model with TRL, a few steps each, through the command that users give."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("trl", reason="TRL is not installed: pip install lrmctl-trl")
pytestmark = pytest.mark.e2e

HEAD = "model: lab:tiny\nbackend: trl\noptimizer: {learning_rate: 1.0e-3, micro_batch_size: 8}\n"
SFT = f"""{HEAD}kind: sft
name: short
data: {{sources: [{{use: lab-teacher, options: {{variant: mixed, n: 64}}}}], max_len: 256, eval_rows: 0.1}}
train: {{epochs: 2, batch_size: 16}}
save_every: 2
"""
DPO = f"""{HEAD}kind: preference
name: short
data: {{sources: [{{use: lab-pairs, options: {{n: 64}}}}], max_len: 256}}
preference: {{nll_weight: 0.5}}
train: {{epochs: 1, batch_size: 16}}
"""
RL = f"""{HEAD}kind: rl
name: short
prompts: [{{use: lab-prompts, options: {{n: 32}}}}]
reward:
  components: [{{fn: ./odd.py:score}}]
  on_failure: ON_FAILURE
  max_failure_rate: 1.0
algorithm: {{steps: 2, prompts_per_step: 4, samples_per_prompt: 4}}
rollout: {{max_new_tokens: 64}}
max_len: 192
"""
ODD = """
def score(trace):
    if len(trace.thinking) % 3 == 0:
        raise ValueError("no parser knows this")
    return len(trace.answer) / 100
"""


def write(folder: Path, recipe: str) -> list[str]:
    """The command that trains a recipe."""
    (folder / "recipe.yaml").write_text(recipe)
    (folder / "odd.py").write_text(ODD)
    words = ["train", str(folder / "recipe.yaml"), "--runs-dir", str(folder / "runs")]
    return [sys.executable, "-m", "lrmctl", *words]


def train(folder: Path, recipe: str, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*write(folder, recipe), *words], capture_output=True, text=True, timeout=900)


def rows(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


def test_preferences_train_and_the_model_is_saved(tmp_path: Path) -> None:
    done = train(tmp_path, DPO)
    assert done.returncode == 0, done.stderr
    steps = rows(tmp_path / "runs" / "short" / "metrics.jsonl")
    assert [row["step"] for row in steps] == [1, 2, 3, 4]
    assert steps[0]["reward_margin"] == 0.0  # the reference is the model that the run starts from
    assert steps[-1]["reward_margin"] > 0
    assert (tmp_path / "runs" / "short" / "model" / "config.json").exists()


def test_a_killed_sft_run_goes_on_from_its_checkpoint(tmp_path: Path) -> None:
    recipe, run = SFT.replace("epochs: 2", "epochs: 30"), tmp_path / "runs" / "short"
    command = subprocess.Popen(write(tmp_path, recipe), start_new_session=True)
    until = time.monotonic() + 600
    while not (run / "checkpoints" / "checkpoint-4" / "trainer_state.json").exists() and time.monotonic() < until:
        assert command.poll() is None
        time.sleep(0.05)
    os.kill(command.pid, signal.SIGKILL)
    command.wait()
    assert not (run / "model").exists()
    done = train(tmp_path, recipe, "--resume")
    assert done.returncode == 0, done.stderr
    steps = rows(run / "metrics.jsonl")
    assert [row["step"] for row in steps] == list(range(1, len(steps) + 1))
    assert len(steps) == steps[0]["total"]
    assert "eval_loss" in steps[3]
    assert json.loads((run / "trl.json").read_text())["checkpoint"]
    assert steps[-1]["loss"] < steps[0]["loss"]


def test_a_reward_that_fails_is_not_zero(tmp_path: Path) -> None:
    done = train(tmp_path, RL.replace("ON_FAILURE", "neutral"))
    assert done.returncode == 0, done.stderr
    found = rows(tmp_path / "runs" / "short" / "rollouts.jsonl")
    failed = [row for row in found if row["total"] is None]
    assert len(found) == 32
    assert failed
    for row in failed:
        others = [one["total"] for one in found if one["group"] == row["group"] and one["total"] is not None]
        if others:  # it gets their mean, so that its advantage is 0
            assert row["reward"] == pytest.approx(sum(others) / len(others), abs=1e-3)
    steps = rows(tmp_path / "runs" / "short" / "metrics.jsonl")
    assert sum(row["reward_failed"] for row in steps) * 16 == pytest.approx(len(failed))


def test_or_it_ends_the_run_with_its_own_error(tmp_path: Path) -> None:
    done = train(tmp_path, RL.replace("ON_FAILURE", "abort"))
    assert done.returncode == 3
    assert "no parser knows this" in done.stderr
    assert not (tmp_path / "runs" / "short" / "model").exists()
