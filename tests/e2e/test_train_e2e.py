"""Real training: OpenRLHF on CPU with the tiny base, through the reward service, to a model that loads."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml
from training_recipes import RL, SFT, merged

from lrmctl.errors import RewardError
from lrmctl.hooks import registry
from lrmctl.recipe.load import LoadedRecipe, load_recipe
from lrmctl.runs.folder import RunFolder
from lrmctl.runs.jsonl import read_jsonl
from lrmctl.training.run import train

pytestmark = pytest.mark.e2e

STEPS = 6
REWARD = {
    "components": [
        {"use": "judged-safe", "name": "safe", "when": "harmful", "options": {"judge": "lab", "partial": 0.3}},
        {"use": "correct", "when": "reasoning", "part": "answer"},
        {"use": "format", "weight": 0.5},
    ]
}


def recipe(folder: Path, base: dict[str, Any], **changes: Any) -> LoadedRecipe:
    file = folder / f"{base['kind']}.yaml"
    file.write_text(yaml.safe_dump(merged(base, {k.replace("__", "."): v for k, v in changes.items()})))
    return load_recipe(file)


def rl_recipe(folder: Path) -> LoadedRecipe:
    return recipe(folder, RL, reward=REWARD, algorithm__steps=STEPS, save_every=2)


def strays(runs: Path) -> list[str]:
    """Processes of launches below a folder: a trainer and all that comes out of it start in their run folder."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if process.environ().get("LRMCTL_RUN_ID") and Path(process.cwd()).is_relative_to(runs):
                found.append(" ".join(process.cmdline()))
    return found


def numbers(row: dict[str, Any]) -> dict[str, Any]:
    """A row without what depends on the clock."""
    return {k: v for k, v in row.items() if k != "seconds" and not k.startswith("time/")}


def loads_and_answers(model: Path) -> bool:
    from lrmctl.models import load_model, load_tokenizer

    tokenizer, loaded = load_tokenizer(model), load_model(model)
    ids = tokenizer("1+1=", add_special_tokens=False, return_tensors="pt")
    return bool(loaded.generate(**ids, max_new_tokens=2, do_sample=False).shape[1] == ids["input_ids"].shape[1] + 2)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("runs")
    yield folder
    assert strays(folder) == []


@pytest.fixture(scope="module")
def trained(runs: Path) -> RunFolder:
    """A real GRPO run of a few steps."""
    return train(rl_recipe(runs), runs_dir=runs, name="whole")


def test_sft_trains_to_a_model_that_loads(runs: Path) -> None:
    seen: list[int] = []
    folder = train(recipe(runs, SFT), runs_dir=runs, on_progress=lambda p: p.phase or seen.append(p.step))
    rows = list(read_jsonl(folder.metrics))
    assert [row["step"] for row in rows] == list(range(1, 9))
    assert rows[-1]["loss"] < rows[0]["loss"]
    assert seen == list(range(9))
    assert folder.status()["state"] == "done"
    lock = json.loads(folder.lock.read_text())
    assert (lock["dtype"], lock["device"], lock["data"]["rows"]) == ("fp32", "cpu", 64)
    assert loads_and_answers(folder.model)


@pytest.mark.slow
def test_grpo_trains_to_a_model_that_loads(trained: RunFolder) -> None:
    rows = list(read_jsonl(trained.metrics))
    assert [row["step"] for row in rows] == list(range(1, STEPS + 1))
    assert all(row["vllm_kl"] < 1e-3 for row in rows)
    assert any(row["grad_norm"] > 0 for row in rows)
    assert {"reward/format", "entropy", "time/step", "response_length"} <= set(rows[0])
    assert trained.status()["state"] == "done"
    assert loads_and_answers(trained.model)


def test_metrics_of_a_step_are_those_of_its_rollouts(trained: RunFolder) -> None:
    rows, rollouts = list(read_jsonl(trained.metrics)), list(read_jsonl(trained.rollouts))
    assert len(rollouts) == STEPS * 16
    for row in rows:
        batch = rollouts[(row["step"] - 1) * 16 : row["step"] * 16]
        assert row["reward"] == pytest.approx(sum(r["reward"] for r in batch) / 16, abs=1e-5)
        for kind in {r["kind"] for r in batch}:
            of_kind = [r["reward"] for r in batch if r["kind"] == kind]
            assert row[f"reward/{kind}"] == pytest.approx(sum(of_kind) / len(of_kind), abs=1e-5)


def test_a_done_run_is_left_alone(trained: RunFolder, runs: Path) -> None:
    before = trained.metrics.stat().st_mtime_ns
    assert train(rl_recipe(runs), runs_dir=runs, name="whole", resume=True).path == trained.path
    assert (trained.metrics.stat().st_mtime_ns, len(trained.attempts())) == (before, 1)


RUN = """
import sys
from pathlib import Path
from lrmctl.recipe.load import load_recipe
from lrmctl.training.run import train
if __name__ == "__main__":
    train(load_recipe(sys.argv[1]), runs_dir=Path(sys.argv[2]), name="killed")
"""


def test_a_killed_run_goes_on_from_its_checkpoint_and_ends_with_the_same_numbers(
    trained: RunFolder, runs: Path
) -> None:
    script = runs / "run.py"
    script.write_text(RUN)
    process = subprocess.Popen([sys.executable, str(script), str(rl_recipe(runs).path), str(runs)])
    folder = RunFolder(runs / "killed")
    latest = folder.checkpoints / "_actor" / "latest"
    while not latest.exists():
        assert process.poll() is None
        time.sleep(0.05)
    tree = psutil.Process(process.pid).children(recursive=True)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert psutil.wait_procs(tree, timeout=20)[1] == []
    assert folder.status()["state"] == "interrupted"
    train(rl_recipe(runs), runs_dir=runs, name="killed", resume=True)
    rows = list(read_jsonl(folder.metrics))
    assert [row["step"] for row in rows] == list(range(1, STEPS + 1))
    for row, whole in zip(rows, read_jsonl(trained.metrics), strict=True):
        assert row["response_length"] == whole["response_length"]
        assert numbers(row) == pytest.approx(numbers(whole), rel=1e-4, abs=1e-6)
    assert folder.status()["resumed_from"] >= 2
    assert {row["attempt"] for row in read_jsonl(folder.rollouts)} == {1, 2}


PLUGIN = """
from lrmctl import hookimpl

class Broken:
    def score(self, traces, part):
        raise ValueError("the guard model is gone")

@hookimpl
def lrmctl_rewards(register):
    register("broken-guard", Broken)
"""


def test_a_reward_that_raises_ends_the_run_with_its_own_error(
    runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    info = tmp_path / "broken_guard-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: broken-guard\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[lrmctl]\nbroken = broken_guard\n")
    (tmp_path / "broken_guard.py").write_text(PLUGIN)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(registry._default, "_third_party", None)  # this distribution came after the first look
    loaded = recipe(tmp_path, RL, reward={"components": [{"use": "broken-guard"}]})
    with pytest.raises(RewardError, match="the guard model is gone") as caught:
        train(loaded, runs_dir=runs, name="broken")
    assert caught.value.exit_code == 3
    assert RunFolder(runs / "broken").status()["state"] == "failed"
