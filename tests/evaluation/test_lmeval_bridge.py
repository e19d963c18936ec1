"""Reasoning through a real lm-eval run: every repeat scored, only answers scored, lm-eval's numbers are the rows'."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from lrmctl.engines.base import Sampling
from lrmctl.engines.hf.engine import HfEngine
from lrmctl.engines.store import Store
from lrmctl.errors import NotFoundError
from lrmctl.reasoning.lm_eval.run import AnswerSegment, run_tasks
from lrmctl.reasoning.tasks import grade_mathematics, reasoning_task
from lrmctl.types import Prompt, Trace

PROMPT = Prompt.user("p", "how many?", "reasoning", reference="33")


def trace(answer: str, **fields: Any) -> Trace:
    return Trace(**{"prompt": PROMPT, "thinking": "so", "answer": answer, "thinking_state": "closed", **fields})


@pytest.mark.e2e
def test_lm_evals_numbers_are_those_of_the_rows(evaluated: Any) -> None:
    entries = [s for s in evaluated.summary["sets"] if s["kind"] == "reasoning"]
    assert len(entries) == 2
    for s in entries:
        rows = [r for r in evaluated.rows if (r.set, r.temperature) == (s["set"], s["temperature"])]
        by_hand = {
            "correct": sum(bool(r.correct) for r in rows) / len(rows),
            "cut": sum(r.trace.finish_reason == "length" for r in rows) / len(rows),
            "unclosed": sum(r.trace.thinking_state == "unclosed" for r in rows) / len(rows),
        }
        for name, value in by_hand.items():
            assert s["lm_eval"][name] == pytest.approx(value)
            assert s["metrics"][name]["value"] == pytest.approx(value)
    assert any(s["lm_eval"]["correct"] > 0 for s in entries)  # the model can do some of them: 0 == 0 proves little


def test_every_repeat_is_scored_not_the_first_only(base: Path, tmp_path: Path) -> None:
    engine = HfEngine(base, batch_size=256)
    with Store(tmp_path / "c.sqlite") as store:
        hot = Sampling(1.4, max_new_tokens=110)
        (result,) = run_tasks(engine, store, [reasoning_task("lab_arithmetic")], [hot], samples=6, seed=0, limit=20)
    assert len(result.traces) == len(result.graded) == 120
    assert [t.sample for t in result.traces] == [0, 1, 2, 3, 4, 5] * 20
    assert len({(t.thinking, t.answer) for t in result.traces}) > 60
    first = sum(bool(g.correct) for g in result.graded[::6]) / 20
    everything = sum(bool(g.correct) for g in result.graded) / 120
    assert first != everything  # else this run could not tell the two ways of scoring apart
    assert result.reported["correct"] == pytest.approx(everything)


def test_cut_thinking_is_never_correct_and_is_counted(base: Path, tmp_path: Path) -> None:
    engine = HfEngine(base, batch_size=256)
    with Store(tmp_path / "c.sqlite") as store:
        short = Sampling(0.6, max_new_tokens=12)
        (result,) = run_tasks(engine, store, [reasoning_task("lab_arithmetic")], [short], samples=2, seed=0, limit=8)
    assert result.reported == {"correct": 0.0, "cut": 1.0, "unclosed": 1.0}
    assert all(t.thinking and not t.answer for t in result.traces)


def test_prompts_keep_their_ids_and_answers_through_lm_eval(evaluated: Any) -> None:
    prompts = {p.id: p for p in reasoning_task("lab_arithmetic").load(12)}
    seen = {r.trace.prompt.id: r.trace.prompt for r in evaluated.rows if r.set == "lab_arithmetic"}
    assert seen == prompts


@pytest.mark.parametrize(
    ("answered", "solved"),
    [
        (trace(r"So \boxed{33}."), True),
        (trace(r"So \boxed{34}."), False),
        (trace("So it is 33."), False),  # a number in passing is not a final answer
        (trace(r"\boxed{33}", finish_reason="length"), False),
        (trace("", thinking=r"\boxed{33}", thinking_state="unclosed"), False),
        (trace("", thinking=r"\boxed{33}"), False),
        (trace(r"\boxed{33}", thinking="", thinking_state="absent"), True),
    ],
)
def test_only_a_finished_answer_segment_counts(answered: Trace, solved: bool) -> None:
    assert grade_mathematics(answered).correct is solved


def test_an_answer_is_text_to_lm_eval_and_carries_its_trace() -> None:
    answer = AnswerSegment(trace("yes", thinking="hm"))
    assert answer == "yes"
    assert answer.trace.thinking == "hm"


def test_an_unknown_task_names_the_known_ones() -> None:
    with pytest.raises(NotFoundError, match="did you mean 'gsm8k'"):
        reasoning_task("gsm9k")
    with pytest.raises(NotFoundError, match=r"lab_arithmetic.*lmeval:NAME"):
        reasoning_task("something else")


def test_lm_eval_adds_no_bars_or_warnings_of_its_own(
    base: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    engine = HfEngine(base)
    assert engine.model is not None  # loading it shows a bar of its own
    capfd.readouterr()
    with Store(tmp_path / "c.sqlite") as store:
        run_tasks(engine, store, [reasoning_task("lab_arithmetic")], [Sampling(max_new_tokens=4)], 1, seed=0, limit=2)
    assert capfd.readouterr() == ("", "")


def test_importing_evaluation_is_light() -> None:
    code = (
        "import sys, lrmctl.evaluation, lrmctl.reasoning.lm_eval.run, lrmctl.engines.hf.engine\n"
        "print(*{'torch', 'transformers', 'lm_eval', 'scipy', 'datasets', 'numpy'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
