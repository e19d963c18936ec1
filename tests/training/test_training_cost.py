"""What a training will cost: hours of a run with the same settings or of a stated rate, else not known."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from lrmctl.planning.prices import Prices
from lrmctl.recipe.load import load_recipe
from lrmctl.training.cost import NO_HOURS, training_cost
from lrmctl.training.plan import TrainingPlan, plan_training

ENGINE = {"use": "openai", "base_url": "http://judge:8000/v1"}
RL: dict[str, Any] = {
    "kind": "rl",
    "name": "planned",
    "model": "deepseek-ai/DeepSeek-R1-Distill-Qwen-7B",
    "prompts": [{"use": "lab-prompts"}],
    "reward": {
        "components": [
            {
                "use": "judged-safe",
                "when": "harmful",
                "part": "both",
                "options": {"judge": "strongreject", "judge_options": {"model": "m", "engine": ENGINE}},
            }
        ]
    },
    "algorithm": {"name": "grpo", "steps": 10, "prompts_per_step": 16, "samples_per_prompt": 8},
    "rollout": {"max_new_tokens": 1000},
    "max_len": 3000,
    "optimizer": {"micro_batch_size": 1},
    "layout": {"gpus": 4, "gpu_type": "A100-80GB"},
    "backend": {"device": "cuda"},
}


@pytest.fixture
def plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TrainingPlan:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    monkeypatch.delenv("HF_HUB_CACHE", raising=False)
    RL["prompts"] = [{"use": "lab-prompts", "options": {"harmful": 1.0, "benign": 0.0, "reasoning": 0.0}}]
    (tmp_path / "r.yaml").write_text(yaml.safe_dump(RL))
    return plan_training(load_recipe(tmp_path / "r.yaml"), runs_dir=tmp_path / "runs", allow_missing=True, render=False)


def test_without_a_run_or_a_rate_hours_are_not_known(plan: TrainingPlan, tmp_path: Path) -> None:
    cost = training_cost(plan, Prices(gpu_hour=2.7), tmp_path / "runs")
    assert (cost.hours, cost.gpu_money, cost.money, cost.hours_from) == (None, None, None, NO_HOURS)


def test_a_rate_bounds_the_hours_and_token_limits_bound_the_judge(plan: TrainingPlan, tmp_path: Path) -> None:
    prices = Prices(2.7, 0.15, 0.6, "EUR", train_tokens_per_second=100)
    cost = training_cost(plan, prices, tmp_path / "runs")
    # 10 steps x 16 prompts x 8 samples x 1,000 tokens, at 4 x 100 tokens a second: 3,200 s
    assert cost.at_most
    assert cost.gpus == 4
    assert cost.hours == pytest.approx(3200 / 3600)
    assert cost.gpu_money == pytest.approx(4 * 3200 / 3600 * 2.7)
    # thinking and answer of 1,280 samples; 3,000 + 1,000 tokens read and 512 written each
    assert cost.judges
    assert (cost.judges.calls, cost.judges.read, cost.judges.written) == (2560, 10_240_000, 1_310_720)
    assert cost.judge_money == pytest.approx(10.24 * 0.15 + 1.31072 * 0.6)
    assert cost.money == pytest.approx(9.6 + 2.322432)


def test_a_run_with_the_same_settings_says_how_long_a_step_takes(plan: TrainingPlan, tmp_path: Path) -> None:
    ran(tmp_path, "short", plan, steps=5, change={"name": "short", "seed": 7, "algorithm": {"steps": 5}})
    ran(tmp_path, "longer-steps", plan, steps=9, change={"rollout": {"max_new_tokens": 9}})
    cost = training_cost(plan, Prices(gpu_hour=3.6, train_tokens_per_second=1), tmp_path / "runs")
    # the first step ends after 40 s and each takes 10 s: 30 s before them, and 10 of them
    assert cost.hours == pytest.approx(130 / 3600)
    assert not cost.at_most
    assert "'short'" in cost.hours_from
    assert cost.gpu_money == pytest.approx(4 * 130 / 3600 * 3.6)


def ran(folder: Path, name: str, plan: TrainingPlan, steps: int, change: dict[str, Any]) -> None:
    """Write what a run leaves: its resolved recipe and the seconds at which its steps ended."""
    run = folder / "runs" / name
    run.mkdir(parents=True)
    recipe = json.loads(json.dumps(plan.resolved.loaded.resolved))
    for key, value in change.items():
        recipe[key] = {**recipe[key], **value} if isinstance(value, dict) else value
    (run / "lock.json").write_text(json.dumps({"recipe": recipe}))
    rows = [{"step": step, "seconds": 30.0 + 10 * step} for step in range(1, steps + 1)]
    (run / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
