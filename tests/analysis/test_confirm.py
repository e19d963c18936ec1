from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from lrmctl.analysis import confirm as module
from lrmctl.analysis.confirm import confirm, confirmed_cells
from lrmctl.engines.base import Completion, Engine, GenerationRequest, Sampling
from lrmctl.errors import JudgeError
from lrmctl.lexicons import get_lexicon
from lrmctl.runs.eval_rows import EvalRow
from lrmctl.types import Prompt, Trace

WORDS = get_lexicon("cyclicreflex")


class Reader(Engine):
    """Says what `reply` makes of a question."""

    name = "reader"
    fingerprint = identity = "reader-1"

    def __init__(self, reply: Any) -> None:
        self.reply, self.asked = reply, []

    def question(self, messages: Sequence[Any], max_new_tokens: int, **_: Any) -> GenerationRequest:
        return GenerationRequest(messages[0]["content"], Sampling(0, max_new_tokens=max_new_tokens), question=True)

    def generate(self, requests: Sequence[GenerationRequest]) -> Iterator[list[tuple[int, Completion]]]:
        for i, request in enumerate(requests):
            self.asked.append(request.text)
            yield [(i, Completion((), self.reply(request.text), "stop"))]


def rows(*thoughts: str) -> list[EvalRow]:
    prompts = [Prompt.user(f"p{i}", "?", "reasoning") for i in range(len(thoughts))]
    return [
        EvalRow("m", 0.6, Trace(p, thought, "4", "closed"), correct=True)
        for p, thought in zip(prompts, thoughts, strict=True)
    ]


def doubts(text: str) -> str:
    return "Yes" if "no, that is wrong" in text else "No."


THOUGHTS = ("Wait, no, that is wrong.", "Cheap, but good. But so what?")


def test_each_hit_is_asked_about_in_its_place_and_counted(tmp_path: Path) -> None:
    reader = Reader(doubts)
    found = confirm(reader, rows(*THOUGHTS), WORDS, 200, tmp_path / "c.jsonl")
    assert [one.confirmed for one in found] == [[True], [False, False]]
    assert "[[Wait]], no, that is wrong." in reader.asked[0]
    cell = confirmed_cells(found)[0]
    assert (cell["hits"], cell["failed"]) == (3, 0)
    assert cell["share"]["value"] == pytest.approx(1 / 3)
    assert cell["per_trace"]["value"] == pytest.approx(1 / 2)


def test_no_hit_is_asked_about_twice(tmp_path: Path) -> None:
    confirm(Reader(doubts), rows(*THOUGHTS), WORDS, 200, tmp_path / "c.jsonl")
    again = Reader(doubts)
    found = confirm(again, rows(*THOUGHTS), WORDS, 200, tmp_path / "c.jsonl")
    assert (again.asked, [one.confirmed for one in found]) == ([], [[True], [False, False]])
    confirm(again, rows(*THOUGHTS), WORDS, 5, tmp_path / "c.jsonl")  # another question
    assert len(again.asked) == 3


def test_a_reply_that_is_neither_is_a_failure_and_asked_again(tmp_path: Path) -> None:
    unsure = Reader(lambda text: "Perhaps." if "good" in text else "yes")
    found = confirm(unsure, rows(*THOUGHTS), WORDS, 200, tmp_path / "c.jsonl")
    assert [one.confirmed for one in found] == [[True], [None, None]]
    assert confirmed_cells(found)[0]["failed"] == 2
    again = Reader(doubts)
    confirm(again, rows(*THOUGHTS), WORDS, 200, tmp_path / "c.jsonl")
    assert len(again.asked) == 2


def test_what_a_thinking_model_says_in_its_thought_does_not_count(tmp_path: Path) -> None:
    thinker = Reader(lambda _: "<think>Yes or no? Yes it may be.</think>\n\nNo")
    found = confirm(thinker, rows(THOUGHTS[0]), WORDS, 200, tmp_path / "c.jsonl")
    assert found[0].confirmed == [False]


def test_a_model_that_never_answers_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(JudgeError, match="no answer to any of 3 questions: it says 'Hm'"):
        confirm(Reader(lambda _: "Hm"), rows(*THOUGHTS), WORDS, 200, tmp_path / "c.jsonl")


def test_many_traces_are_asked_about_some_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TRACES_PER_CALL", 2)
    told: list[tuple[int, int]] = []
    thoughts = [f"But {i}." for i in range(5)]
    confirm(
        Reader(doubts),
        rows(*thoughts),
        WORDS,
        200,
        tmp_path / "c.jsonl",
        lambda done, total: told.append((done, total)),
    )
    assert told == [(2, 5), (4, 5), (5, 5)]
