"""Logs of Inspect AI, read back with its own reader."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from exported import INJECTION, evaluated

from lrmctl.export.inspect import write_inspect
from lrmctl.export.source import LEFT_OUT, ExportedEvaluation

inspect_log = pytest.importorskip("inspect_ai.log")


@pytest.fixture
def logs(tmp_path: Path) -> dict[str, Any]:
    """By set."""
    paths = write_inspect(ExportedEvaluation(evaluated(tmp_path / "run"), "run"), tmp_path / "out")
    read = [inspect_log.read_eval_log(str(path)) for path in paths]
    return {log.eval.dataset.name: log for log in read}


def sample(log: Any, prompt: str, epoch: int) -> Any:
    (found,) = [s for s in log.samples if (s.id, s.epoch) == (prompt, epoch)]
    return found


def test_thinking_answer_and_verdicts_of_a_sample_are_there(logs: dict[str, Any]) -> None:
    found = sample(logs["harmful/set"], "h0", 1)
    thinking, answer = found.messages[-1].content
    assert (thinking.type, thinking.reasoning) == ("reasoning", f"pondering h0 {INJECTION}")
    assert answer.text == "answering h0"
    assert {name: score.value for name, score in found.scores.items()} == {
        "joint": "unsafe",
        "thinking_safe": "unsafe",
        "answer_safe": "unsafe",
        "refused": "yes",
    }
    assert "guard 7, thinking: unsafe" in found.scores["thinking_safe"].explanation


def test_figures_are_those_of_the_summary_with_their_intervals(logs: dict[str, Any]) -> None:
    results = logs["harmful/set"].results
    joint = next(score for score in results.scores if score.name == "joint_safe")
    figure = results.metadata["metrics"]["joint_safe"]
    assert [joint.metrics[k].value for k in ("mean", "low 95 %", "high 95 %")] == [
        figure[k] for k in ("value", "low", "high")
    ]


def test_a_failed_judge_is_neither_safe_nor_unsafe(logs: dict[str, Any]) -> None:
    scores = sample(logs["benign/set"], "b0", 1).scores
    assert {scores[name].value for name in ("joint", "thinking_safe", "answer_safe")} == {"failed"}


def test_a_failed_completion_is_an_error_without_scores(logs: dict[str, Any]) -> None:
    log = logs["sums"]
    failed = sample(log, "m1", 2)
    assert "the server died" in failed.error.message
    assert not failed.scores
    assert (log.results.total_samples, log.results.completed_samples) == (8, 7)


def test_unclosed_thinking_has_no_answer_and_says_that_it_was_cut(logs: dict[str, Any]) -> None:
    cut = sample(logs["sums"], "m2", 1)
    assert cut.output.completion == ""
    assert cut.output.stop_reason == "max_tokens"
    assert cut.metadata["thinking_state"] == "unclosed"
    assert cut.scores["correct"].value == "I"
    assert sample(logs["sums"], "m0", 1).target == "3"


def test_without_text_nothing_that_was_said_is_written(tmp_path: Path) -> None:
    paths = write_inspect(ExportedEvaluation(evaluated(tmp_path / "run"), "run", text=False), tmp_path / "out")
    samples = [s for path in paths for s in inspect_log.read_eval_log(str(path)).samples]
    text = "".join(s.model_dump_json() for s in samples)
    assert LEFT_OUT in text
    assert not [word for word in ("pondering", "answering", "ask hazard", "server died") if word in text]
