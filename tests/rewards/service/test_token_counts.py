"""Tokens of thinking and answer inside the reward service: counted by the model's tokenizer, or None, never 0."""

from __future__ import annotations

from pathlib import Path

import pytest
from calls import SUM, good, post, rows, service

from lrmctl.lab import base_path
from lrmctl.rewards.tokens import TokenCounter
from lrmctl.types import Trace

COUNT = """
def score(trace):
    return trace.answer_tokens


def known(trace):
    return trace.answer_tokens is not None and trace.thinking_tokens is not None
"""


@pytest.mark.e2e
def test_a_function_in_training_sees_the_tokens_of_the_models_own_tokenizer(tmp_path: Path) -> None:
    from lrmctl.models import load_tokenizer

    (tmp_path / "own.py").write_text(COUNT)
    answers = ["The answer is 4.", "4", "The answer is 4. " * 20]
    with service(tmp_path, {"fn": f"{tmp_path / 'own.py'}:score"}, tokenizer=base_path()) as s:
        replies = post(s.url, [good(SUM, answer) for answer in answers], at_once=1)
        assert s.failure() is None
    tokenizer = load_tokenizer(base_path())
    right = [len(tokenizer(answer.strip(), add_special_tokens=False)["input_ids"]) for answer in answers]
    assert [r["rewards"] for r in replies] == right
    assert [row["answer_tokens"] for row in rows(tmp_path)] == right
    assert all(row["thinking_tokens"] > 0 for row in rows(tmp_path))


def test_without_a_tokenizer_nothing_is_known_and_nothing_is_zero(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(COUNT)
    with service(tmp_path, {"fn": f"{tmp_path / 'own.py'}:known"}) as s:
        (reply,) = post(s.url, [good(SUM, "The answer is 4.")])
    assert reply["rewards"] == 0.0
    assert [(row["thinking_tokens"], row["answer_tokens"]) for row in rows(tmp_path)] == [(None, None)]


@pytest.mark.e2e
def test_a_length_reward_in_tokens_has_its_tokens_in_training(tmp_path: Path) -> None:
    length = {"use": "length", "part": "answer", "options": {"low": 1, "high": 8, "falloff": 1, "unit": "tokens"}}
    with service(tmp_path, length, tokenizer=base_path()) as s:
        short, long = post(s.url, [good(SUM, "4"), good(SUM, "the answer is 4 " * 20)], at_once=1)
        assert s.failure() is None
    assert (short["rewards"], long["rewards"]) == (1.0, 0.0)


def test_counts_that_are_there_are_kept_and_a_folder_without_a_tokenizer_counts_nothing(tmp_path: Path) -> None:
    counted = Trace(SUM, "a", "b", "closed", thinking_tokens=7, answer_tokens=3)
    assert TokenCounter(base_path()).counted(counted) == counted
    empty = Trace(SUM, "", "", "absent")
    assert TokenCounter(base_path()).counted(empty).answer_tokens == 0
    assert TokenCounter(tmp_path).counted(Trace(SUM, "a", "b", "closed")).answer_tokens is None
