"""The models that a run saved at its steps, evaluated as variants of the run."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from lrmctl import api
from lrmctl.errors import LrmctlError, NotFoundError
from lrmctl.lab import base_path
from lrmctl.runs.checkpoint_models import checkpoint_models, chosen_checkpoints

RECIPE = """
kind: eval
name: few
model: lab:tiny
evaluation:
  safety: [{use: lab-harmful, options: {n: 2}}, {use: lab-benign, options: {n: 2}}]
  samples: 1
  max_new_tokens: 8
"""


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run with models of steps 4, 10 and 20, and one that is not complete."""
    folder = tmp_path / "runs" / "rl"
    for step in (20, 4, 10):
        shutil.copytree(base_path(), folder / f"checkpoints/global_step{step}_hf")
    (folder / "checkpoints/global_step30_hf").mkdir()
    (folder / "checkpoints/_actor/global_step4").mkdir(parents=True)
    (folder / "status.json").write_text(json.dumps({"state": "done", "updated": "2025-01-01T00:00:00Z"}))
    return folder


def test_complete_models_are_found_in_the_order_of_their_steps(run: Path) -> None:
    assert list(checkpoint_models(run)) == [4, 10, 20]
    assert list(chosen_checkpoints(run, "all")) == [4, 10, 20]
    assert list(chosen_checkpoints(run, "every:10")) == [10, 20]


@pytest.mark.parametrize("which", ["", "every", "every:0", "every:-1", "last", "10"])
def test_other_words_are_refused(run: Path, which: str) -> None:
    with pytest.raises(LrmctlError, match="names no checkpoints"):
        chosen_checkpoints(run, which)


def test_a_step_that_is_not_there_names_those_that_are(run: Path) -> None:
    with pytest.raises(NotFoundError, match="fits every:7") as error:
        chosen_checkpoints(run, "every:7")
    assert "4, 10, 20" in error.value.fix


def test_a_run_without_models_of_its_steps_names_the_setting_that_keeps_them(run: Path) -> None:
    shutil.rmtree(run / "checkpoints")
    with pytest.raises(NotFoundError, match="kept no model of its steps") as error:
        api.evaluate_checkpoints("run:rl", runs_dir=run.parent)
    assert "save_every: N" in error.value.fix
    assert "ckpt.save_hf: true" in error.value.fix


def test_each_step_is_a_variant_and_a_finished_one_is_not_generated_again(run: Path, tmp_path: Path) -> None:
    (tmp_path / "few.yaml").write_text(RECIPE)
    done = api.evaluate_checkpoints("run:rl", tmp_path / "few.yaml", checkpoints="every:10", runs_dir=run.parent)
    assert {step: evaluation.folder.name for step, evaluation in done.items()} == {
        10: "eval-step-10",
        20: "eval-step-20",
    }
    rows = (run / "eval-step-10" / "rows.jsonl").read_bytes()
    store = (run / "eval-step-10" / "completions.sqlite").stat().st_mtime_ns
    again = api.evaluate_checkpoints("run:rl", tmp_path / "few.yaml", checkpoints="all", runs_dir=run.parent)
    assert list(again) == [4, 10, 20]
    assert (run / "eval-step-10" / "rows.jsonl").read_bytes() == rows
    assert (run / "eval-step-10" / "completions.sqlite").stat().st_mtime_ns == store
    (found,) = api.compare("rl@step-10", "rl@step-20", runs_dir=run.parent)
    assert all(delta.delta == 0 for delta in found.deltas)
