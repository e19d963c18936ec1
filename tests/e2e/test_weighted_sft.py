"""Weights in the loss of SFT, in whole runs of the real OpenRLHF."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from safetensors.torch import load_file
from training_recipes import SFT, merged

from lrmctl.recipe.load import load_recipe
from lrmctl.runs.folder import RunFolder
from lrmctl.runs.jsonl import read_jsonl
from lrmctl.training.run import train

pytestmark = [pytest.mark.e2e, pytest.mark.slow]


def run(folder: Path, name: str, source: dict[str, Any] | None = None, **section: Any) -> RunFolder:
    file = folder / f"{name}.yaml"
    (given,) = SFT["data"]["sources"]
    data = {**SFT["data"], "sources": [{**given, **(source or {})}], "loss_weights": section}
    file.write_text(yaml.safe_dump(merged(SFT, {"data": data, "name": name})))
    return train(load_recipe(file), runs_dir=folder / "runs", name=name)


def losses(folder: RunFolder) -> list[float]:
    return [row["loss"] for row in read_jsonl(folder.metrics)]


def weights(folder: RunFolder) -> dict[str, Any]:
    return load_file(folder.model / "model.safetensors")


def test_equal_weights_train_the_same_model_and_others_another(tmp_path: Path) -> None:
    plain, half = run(tmp_path, "plain"), run(tmp_path, "half", {"loss_weight": 0.5}, normalise="weights")
    assert losses(half) == pytest.approx(losses(plain), rel=1e-5)
    other = weights(half)
    assert all(float((w - other[name]).abs().max()) < 1e-4 for name, w in weights(plain).items())
    answers = run(tmp_path, "answers", thinking=0.0)
    assert losses(answers)[0] != pytest.approx(losses(plain)[0], rel=0.01)


def test_importance_weights_of_the_own_policy_start_at_the_plain_loss(tmp_path: Path) -> None:
    """The model in training wrote the rows: every ratio is 1 at the first step, where only gamma weighs."""
    plain = run(tmp_path, "plain")
    importance = {"behaviour": "lab:tiny", "gamma": 1.0}
    pear = run(tmp_path, "pear", importance=importance)
    assert losses(pear)[0] == pytest.approx(losses(plain)[0], rel=1e-3)
    assert losses(pear)[-1] != pytest.approx(losses(plain)[-1], rel=1e-3)
