"""A run goes on for more steps than it was started with; any other change of its recipe is refused by name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lrmctl.errors import RunExistsError
from lrmctl.recipe.load import load_recipe
from lrmctl.runs.folder import RunFolder
from lrmctl.runs.jsonl import read_jsonl
from lrmctl.training.extend import check_longer

SHORT = (
    "data.sources.0.options.n=16",
    "train.epochs=1",
    "train.batch_size=4",
    "optimizer.micro_batch_size=4",
    "save_every=2",
)


def resolved(*sets: str, recipe: str = "lab/rl") -> dict[str, Any]:
    return load_recipe(recipe, sets).resolved


@pytest.mark.parametrize(
    ("recipe", "sets"),
    [
        ("lab/rl", ["algorithm.steps=100"]),
        ("lab/sft-harmful", ["train.epochs=12"]),
        ("lab/rl", ["algorithm.steps=100", "model=./a-copy", "launch.via=ray"]),
    ],
)
def test_more_of_the_same_is_taken(tmp_path: Path, recipe: str, sets: list[str]) -> None:
    check_longer(RunFolder(tmp_path), resolved(recipe=recipe), resolved(*sets, recipe=recipe))


@pytest.mark.parametrize(
    ("sets", "said"),
    [
        (["algorithm.steps=100", "optimizer.learning_rate=1.0e-3"], "optimizer.learning_rate was 0.0003 and is 0.001"),
        (["rollout.max_new_tokens=50"], "rollout.max_new_tokens was 110 and is 50"),
        (["seed=1", "algorithm.samples_per_prompt=4"], "and 1 more"),
        (["algorithm.steps=79"], "algorithm.steps of the run .* was 80 and is 79: a run can only grow"),
        (["reward.components=[format]"], "reward.components was"),
    ],
)
def test_other_changes_are_refused_by_name(tmp_path: Path, sets: list[str], said: str) -> None:
    with pytest.raises(RunExistsError, match=said):
        check_longer(RunFolder(tmp_path), resolved(), resolved(*sets))


@pytest.mark.e2e
@pytest.mark.slow
def test_a_finished_run_gets_more_steps_and_keeps_its_model(tmp_path: Path) -> None:
    from lrmctl.training.run import train

    first = train(load_recipe("lab/sft-harmful", SHORT), runs_dir=tmp_path, name="r")
    steps = max(row["step"] for row in read_jsonl(first.metrics))
    weights = (first.model / "model.safetensors").read_bytes()
    longer = load_recipe("lab/sft-harmful", [*SHORT, "train.epochs=2"])
    again = train(longer, runs_dir=tmp_path, name="r", resume=True)
    rows = [row["step"] for row in read_jsonl(again.metrics)]
    assert rows == list(range(1, 2 * steps + 1))  # the first steps are not done again
    assert (again.path / f"model-step{steps}" / "model.safetensors").read_bytes() == weights
    assert (again.model / "model.safetensors").read_bytes() != weights
    assert json.loads(again.lock.read_text())["recipe"]["train"]["epochs"] == 2
    assert again.status()["resumed_from"] == steps
