"""What a recipe may say to the backend, and what it becomes: checked without a model, data or a training."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from lrmctl_trl.backend import Trl
from lrmctl_trl.checkpoints import last_checkpoint
from lrmctl_trl.rewards import means
from lrmctl_trl.settings import fields

from lrmctl.backends import PreferenceRecipe, RlRecipe, SftRecipe, TrainJob
from lrmctl.testing import check_backend

HEAD = {"name": "r", "model": "lab:tiny", "backend": "trl", "optimizer": {"micro_batch_size": 8}}
RECIPES: dict[str, tuple[Any, dict[str, Any]]] = {
    "sft": (SftRecipe, {"kind": "sft", "data": {"sources": [{"use": "lab-teacher"}], "max_len": 256}}),
    "preference": (PreferenceRecipe, {"kind": "preference", "data": {"sources": [{"use": "lab-pairs"}]}}),
    "rl": (
        RlRecipe,
        {
            "kind": "rl",
            "prompts": [{"use": "lab-prompts"}],
            "reward": {"components": ["format"]},
            "algorithm": {"steps": 3, "prompts_per_step": 4, "samples_per_prompt": 4},
            "rollout": {"max_new_tokens": 64},
            "max_len": 192,
        },
    ),
}


def recipe(kind: str, changes: Mapping[str, Any] | None = None) -> Any:
    """A recipe with dotted keys set."""
    schema, own = RECIPES[kind]
    made = schema.model_validate({**HEAD, **own}).model_dump(mode="json")
    for key, value in (changes or {}).items():
        *path, last = key.split(".")
        section = made
        for word in path:
            section = section[word]
        section[last] = value
    return schema.model_validate(made)


def test_the_backend_keeps_the_contract() -> None:
    check_backend(Trl())


@pytest.mark.parametrize("kind", RECIPES)
def test_a_plain_recipe_has_no_problem(kind: str) -> None:
    assert Trl().check(recipe(kind)) == []


@pytest.mark.parametrize(
    ("kind", "key", "value"),
    [
        ("sft", "layout.gpus", 2),
        ("sft", "launch.via", "slurm"),
        ("sft", "optimizer.sequence_parallel", 2),
        ("sft", "data.loss_weights", {"thinking": 0.5}),
        ("sft", "train.eval_every", 2),
        ("sft", "optimizer.micro_batch_size", 7),
        ("preference", "preference.loss", "ipo"),
        ("preference", "preference.label_smoothing", 0.1),
        ("rl", "algorithm.name", "rloo"),
        ("rl", "algorithm.dynamic_filtering", {}),
        ("rl", "algorithm.overlong", {"buffer": 8}),
        ("rl", "algorithm.ema", 0.9),
        ("rl", "evaluation", {"prompts": [{"use": "lab-prompts"}]}),
        ("rl", "rollout.mode", "async"),
        ("rl", "rollout.engine", "vllm"),
        ("rl", "algorithm.samples_per_prompt", 1),
    ],
)
def test_what_trl_cannot_do_is_refused_by_its_key(kind: str, key: str, value: Any) -> None:
    assert key in [problem.key for problem in Trl().check(recipe(kind, {key: value})) if not problem.note]


def test_another_kl_than_that_of_trl_is_refused() -> None:
    (problem,) = Trl().check(recipe("rl", {"algorithm.kl": {"coef": 0.1, "place": "reward", "estimator": "k1"}}))
    assert (problem.key, "k1 in the reward" in problem.what) == ("algorithm.kl.place", True)


@pytest.mark.parametrize(
    ("kind", "flags", "what", "fix"),
    [
        ("sft", {"neftune_noise_alfa": 5}, "SFTConfig of TRL has no field", "did you mean 'neftune_noise_alpha'?"),
        ("rl", {"learning_rate": 1e-3}, "the recipe has a key", "say it as `optimizer.learning_rate`"),
        ("rl", {"use_vllm": True}, "is not free", "leave it out"),
        ("preference", {"ld_alpha": "much"}, "TRL does not take this value: invalid float value: 'much'", ""),
    ],
)
def test_options_are_those_of_trls_own_classes(kind: str, flags: Mapping[str, Any], what: str, fix: str) -> None:
    pytest.importorskip("trl", reason="the options are checked against the installed TRL")
    (problem,) = Trl().check(recipe(kind, {"backend.flags": dict(flags)}))
    assert what in problem.what
    assert problem.fix == fix
    assert problem.key == f"backend.flags.{next(iter(flags))}"


def test_good_options_pass() -> None:
    pytest.importorskip("trl", reason="the options are checked against the installed TRL")
    assert Trl().check(recipe("rl", {"backend.flags": {"top_k": 20, "mask_truncated_completions": True}})) == []


def test_the_algorithm_becomes_the_same_algorithm_of_trl(tmp_path: Path) -> None:
    keys = {"algorithm.name": "dr_grpo", "algorithm.updates_per_step": 2, "algorithm.clip_high": 0.28}
    job = TrainJob(recipe("rl", keys), tmp_path, tmp_path, [{"prompt": "p", "label": ""}])
    found = fields(job, "cpu", "fp32")
    assert found["scale_rewards"] == "none"
    assert (found["loss_type"], found["epsilon_high"]) == ("dapo", 0.28)
    assert (found["max_steps"], found["logging_steps"]) == (6, 2)
    assert (found["gradient_accumulation_steps"], found["steps_per_generation"]) == (1, 2)


def test_rewards_that_failed_are_in_no_mean_but_are_counted() -> None:
    good = {"is_harmful": 1.0, "reward_harmful": 0.8, "format": 0.8, "applies_format": 1.0, "failed_rollout": 0.0}
    failed = dict.fromkeys(good, 0.0) | {"failed_rollout": 1.0}
    found = means([{"rewards": 0.8, "extra_logs": good}, {"rewards": 0.8, "extra_logs": failed}])
    assert found == {"reward": 0.8, "reward_failed": 0.5, "reward/harmful": 0.8, "reward/format": 0.8}


def test_an_incomplete_checkpoint_is_passed_over(tmp_path: Path) -> None:
    for step in (2, 4):
        folder = tmp_path / "checkpoints" / f"checkpoint-{step}"
        folder.mkdir(parents=True)
        (folder / "model.safetensors").write_bytes(b"weights")
    (tmp_path / "checkpoints" / "checkpoint-2" / "trainer_state.json").write_text("{}")
    found = last_checkpoint(tmp_path, 2)
    assert found is not None
    assert (found.step, found.passed_over) == (1, ("checkpoint-4: it is not complete",))


def test_the_study_against_openrlhf_is_named_like_a_shipped_recipe(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "lrmctl", "study", "trl/against-openrlhf", "--dry-run", "--json"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    trained = {stage["arm"] for stage in json.loads(done.stdout)["data"]["stages"] if stage["stage"] == "train"}
    assert {name + end for name in ("sft", "rl", "dpo") for end in ("", "-trl")} < trained
