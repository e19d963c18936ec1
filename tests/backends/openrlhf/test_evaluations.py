"""Evaluation during training: rows, lines, and the best checkpoint."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lrmctl.backends.openrlhf.run.evaluations import Evaluations, best_model, evaluation, keep_best
from lrmctl.backends.rows import eval_rows
from lrmctl.errors import RecipeError
from lrmctl.lab import base_path
from lrmctl.models import load_tokenizer
from lrmctl.recipe.load import load_recipe
from lrmctl.rewards.service.protocol import decode_label, metric_of
from lrmctl.runs.jsonl import read_jsonl
from lrmctl.types import Prompt

SYNC = (
    "(PPOTrainer pid=1) 2026 INFO ✨ Evaluation completed in 0:00:01, global_step 20, eval_metrics: "
    "{'eval_best_pass1': 0.75, 'eval_benign_pass1': 0.5, 'eval_response_length_mean': 31.5, 'eval_truncated_rate': nan}"
)


def test_a_line_of_openrlhf_becomes_a_row_in_the_recipes_words() -> None:
    assert evaluation(SYNC, "safe") == {"step": 20, "safe": 0.75, "reward_benign": 0.5, "response_length": 31.5}
    assert evaluation("INFO Eval at step 4: {'eval_best_pass1': 1.0}", "safe") == {"step": 4, "safe": 1.0}
    assert evaluation("Global step 4: {'reward': 1.0}", "safe") is None


def test_a_resumed_run_makes_later_evaluations_again(tmp_path: Path) -> None:
    file = tmp_path / "evaluations.jsonl"
    Evaluations(file, "safe").read([SYNC, SYNC.replace("global_step 20", "global_step 40")])
    Evaluations(file, "safe", start=30).read([])
    assert [row["step"] for row in read_jsonl(file)] == [20]


def test_the_best_checkpoint_takes_the_models_place(tmp_path: Path) -> None:
    for name in ("checkpoints/best_global_step20_hf", "checkpoints/global_step40_hf", "model.part"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "config.json").write_text(name)
    assert best_model(tmp_path / "checkpoints") == (tmp_path / "checkpoints/best_global_step20_hf", 20)
    assert keep_best(tmp_path / "checkpoints", tmp_path / "model.part") == 20
    assert (tmp_path / "model.part" / "config.json").read_text() == "checkpoints/best_global_step20_hf"
    assert (tmp_path / "model.last" / "config.json").read_text() == "model.part"
    assert list((tmp_path / "checkpoints").iterdir()) == []


def test_rows_that_the_metric_is_defined_on_are_averaged_apart() -> None:
    prompts = [Prompt.user("h", "hazard-3", "harmful"), Prompt.user("b", "a cake", "benign")]
    rows = eval_rows(load_tokenizer(base_path()), prompts, 100, "safe", ("harmful",)).rows
    assert [row["datasource"] for row in rows] == ["best", "benign"]
    assert [metric_of(row["label"]) for row in rows] == ["safe", "safe"]
    assert decode_label(rows[0]["label"])[0] == prompts[0]


def test_a_training_row_names_no_metric() -> None:
    assert metric_of(json.dumps({"lrmctl": 1, "opened": True, "prompt": {}})) == ""
    assert metric_of('no label, but the word "metric" in it') == ""


def test_a_metric_that_no_component_gives_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "r.yaml"
    file.write_text(
        "kind: rl\nname: r\nmodel: lab:tiny\nprompts: [{use: lab-prompts}]\nreward: {components: [{use: format}]}\n"
        "evaluation: {prompts: [{use: lab-prompts}], best: safe}\n"
    )
    with pytest.raises(RecipeError, match="no reward component is called 'safe'; there are: format, reward"):
        load_recipe(file)
