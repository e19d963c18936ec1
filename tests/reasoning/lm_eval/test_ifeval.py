"""Instructions that a program can check: lm-eval's own checkers, on the answer segment only."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from lrmctl.errors import NotFoundError
from lrmctl.reasoning.tasks import ReasoningTask, reasoning_task
from lrmctl.types import Trace

MISSING = [name for name in ("langdetect", "immutabledict", "nltk") if find_spec(name) is None]
needs_checkers = pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}")
ROW = {
    "key": 1000,
    "prompt": "Write about shells, in lower case, without commas.",
    "instruction_id_list": ["punctuation:no_comma", "change_case:english_lowercase", "keywords:existence"],
    "kwargs": [{}, {}, {"keywords": ["shells"], "num_words": None}],
}


@pytest.fixture
def task(tmp_path: Path) -> ReasoningTask:
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps(ROW) + "\n", encoding="utf-8")
    return reasoning_task("ifeval", {"path": str(path), "any_size": True})


def graded(task: ReasoningTask, answer: str, **fields: Any) -> Any:
    (prompt,) = task.load(None)
    return task.grade(
        Trace(**{"prompt": prompt, "thinking": "A, B", "answer": answer, "thinking_state": "closed", **fields})
    )


@pytest.mark.skipif(not MISSING, reason="everything is installed")
def test_without_the_checkers_packages_the_task_says_what_to_install() -> None:
    with pytest.raises(NotFoundError, match=r"not installed(.|\n)*pip install langdetect immutabledict"):
        reasoning_task("ifeval")


@needs_checkers
def test_every_instruction_followed_is_right(task: ReasoningTask) -> None:
    said = graded(task, "the shells lie on the beach and nobody wants to take them home today")
    assert said.correct is True
    assert said.scores == {
        "prompt_level_strict_acc": 1.0,
        "prompt_level_loose_acc": 1.0,
        "inst_level_strict_acc": 1.0,
        "inst_level_loose_acc": 1.0,
        "instructions": 3.0,
    }


@needs_checkers
def test_one_instruction_broken_is_wrong_and_the_others_count(task: ReasoningTask) -> None:
    said = graded(task, "the shells lie on the beach, and nobody wants to take them home today")
    assert said.correct is False
    assert said.scores["inst_level_strict_acc"] == pytest.approx(2 / 3)


@needs_checkers
def test_loose_scores_forgive_a_first_line(task: ReasoningTask) -> None:
    said = graded(task, "Sure, here it is:\nthe shells lie on the beach and nobody wants to take them home")
    assert said.correct is False
    assert said.scores["prompt_level_loose_acc"] == 1.0


@needs_checkers
def test_the_thinking_may_break_every_instruction(task: ReasoningTask) -> None:
    said = graded(task, "the shells lie on the beach and nobody cares about them", thinking="WELL, COMMAS, ARE, FINE")
    assert said.correct is True


@needs_checkers
def test_cut_and_unclosed_answers_follow_nothing_and_failed_ones_do_not_count(task: ReasoningTask) -> None:
    text = "the shells lie on the beach and nobody wants to take them home today"
    for fields in ({"finish_reason": "length"}, {"thinking_state": "unclosed"}):
        said = graded(task, text, **fields)
        assert said.correct is False
        assert said.scores["inst_level_loose_acc"] == 0.0
        assert said.scores["instructions"] == 3.0
    failed = graded(task, "", finish_reason="error")
    assert (failed.correct, dict(failed.scores)) == (None, {})


@needs_checkers
def test_the_published_figures_weigh_instructions_not_prompts(task: ReasoningTask) -> None:
    from lrmctl.reasoning.base import GradedTrace

    def scores(strict: float, instructions: int) -> dict[str, float]:
        names = ("prompt_level_strict_acc", "prompt_level_loose_acc")
        share = {"inst_level_strict_acc": strict, "inst_level_loose_acc": 1.0}
        return {**dict.fromkeys(names, float(strict == 1)), **share, "instructions": float(instructions)}

    found = task.totals(
        [GradedTrace(True, scores=scores(1.0, 1)), GradedTrace(False, scores=scores(0.0, 3)), GradedTrace(None)]
    )
    assert found["prompt_level_strict_acc"] == 0.5
    assert found["inst_level_strict_acc"] == 0.25
    assert found["inst_level_loose_acc"] == 1.0


@needs_checkers
def test_scores_are_lm_evals_own(task: ReasoningTask) -> None:
    from lm_eval.tasks.ifeval.utils import process_results

    for answer in ("shells, shells", "nothing here", "SHELLS", "shells *are* nice and everybody likes them a lot"):
        theirs, ours = process_results(ROW, [answer]), graded(task, answer).scores
        assert ours["prompt_level_strict_acc"] == theirs["prompt_level_strict_acc"]
        assert ours["inst_level_loose_acc"] == pytest.approx(sum(theirs["inst_level_loose_acc"]) / 3)


@needs_checkers
def test_word_data_that_is_missing_is_missed_before_anything_is_generated(tmp_path: Path) -> None:
    import nltk

    try:
        nltk.data.find("tokenizers/punkt_tab")
        pytest.skip("the word data is here")
    except LookupError:
        pass
    kwargs = [{"capital_relation": "at least", "capital_frequency": 1}]
    row = {**ROW, "instruction_id_list": ["change_case:capital_word_frequency"], "kwargs": kwargs}
    path = tmp_path / "words.jsonl"
    path.write_text(json.dumps(row) + "\n", encoding="utf-8")
    task = reasoning_task("ifeval", {"path": str(path), "any_size": True})
    with pytest.raises(NotFoundError, match="punkt_tab"):
        task.load(None)
