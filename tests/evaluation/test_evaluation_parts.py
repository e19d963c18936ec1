"""Drawing and judging in parts: over-refusal by default, failures within a limit, variants, further judges."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from lrmctl.engines.base import Completion, GenerationRequest, Sampling
from lrmctl.engines.hf.engine import HfEngine
from lrmctl.engines.store import Store
from lrmctl.errors import LrmctlError, RecipeError
from lrmctl.evaluation import evaluate
from lrmctl.evaluation.benchmarks import open_sets
from lrmctl.evaluation.generate import Generation, refuse_failures
from lrmctl.recipe.schema.evaluation import EvalSection
from lrmctl.runs.eval_rows import read_rows
from lrmctl.types import Prompt

Section = Callable[..., EvalSection]
HARMFUL = {"use": "lab-harmful", "options": {"n": 3, "split": "heldout"}}
HOW = Sampling(1.0, max_new_tokens=24)
PROMPTS = [Prompt.user(f"p{i}", f"Please help me to count to {i}.", "benign") for i in range(5)]


def test_a_suite_without_benign_prompts_gets_some(section: Section) -> None:
    alone = section(safety=[HARMFUL])
    assert [s.name for s in open_sets(alone)] == ["lab-harmful/heldout", "lab-benign/heldout"]
    assert [s.name for s in open_sets(section(safety=[HARMFUL], over_refusal=False))] == ["lab-harmful/heldout"]


@pytest.mark.e2e
def test_further_judges_are_kept_beside_and_decide_nothing(base: Path, section: Section, tmp_path: Path) -> None:
    also = [{"judge": "refusal-phrases", "judge_options": {"phrases": ["cannot"]}}]
    how = {"safety": [HARMFUL], "reasoning": [], "temperatures": [1.0], "over_refusal": False}
    summary = evaluate(base, section(also=also, **how), tmp_path / "with")
    plain = evaluate(base, section(**how), tmp_path / "without")
    rows = read_rows(tmp_path / "with" / "eval" / "rows.jsonl")
    assert {(v.judge, v.part) for row in rows for v in row.also} == {("refusal-phrases", "answer")}
    assert summary["sets"][0]["also"] == [
        {"judge": "refusal-phrases", "version": "3/own-" + rows[0].also[0].version[6:], "part": "answer"}
    ]
    shared = plain["sets"][0]["metrics"]
    assert {name: summary["sets"][0]["metrics"][name] for name in shared} == shared


def test_a_variant_lies_beside_the_runs_own(base: Path, section: Section, tmp_path: Path) -> None:
    how = section(safety=[HARMFUL], reasoning=[], temperatures=[1.0], samples=1, over_refusal=False)
    evaluate(base, how, tmp_path, variant="hot")
    assert (tmp_path / "eval-hot" / "rows.jsonl").exists()
    assert not (tmp_path / "eval").exists()


class Failing(HfEngine):
    """The real engine, except that completions of one prompt fail, as where a server is away."""

    away = True

    def generate(self, requests: Sequence[GenerationRequest]) -> Iterator[list[tuple[int, Completion]]]:
        for batch in super().generate(requests):
            yield [
                (
                    i,
                    Completion((), "", "error", "the server is away")
                    if self.away and "to 2." in requests[i].text
                    else c,
                )
                for i, c in batch
            ]


def test_failed_completions_are_traces_with_their_error_and_are_drawn_again(base: Path, tmp_path: Path) -> None:
    def errors(generation: Generation) -> list[str]:
        generation.fill(PROMPTS, lambda _done, _total: None)
        return [trace.error for traces in generation.traces(PROMPTS, HOW) for trace in traces]

    engine = Failing(base, batch_size=4)
    with Store(tmp_path / "c.sqlite") as store:
        first = Generation(engine, store, (HOW,), 2, 0)
        assert errors(first) == ["", "", "", "", "the server is away", "the server is away", "", "", "", ""]
        assert len(store) == 8
        engine.away = False
        drawn: list[int] = []
        again = Generation(engine, store, (HOW,), 2, 0)
        again.fill(PROMPTS, lambda done, _total: drawn.append(done))
        assert drawn[0] == 8
        assert errors(again) == [""] * 10


def test_parts_of_traces_are_those_of_one_whole_read(base: Path, tmp_path: Path, monkeypatch: Any) -> None:
    from lrmctl.evaluation import generate as room

    with Store(tmp_path / "c.sqlite") as store:
        generation = Generation(HfEngine(base), store, (HOW,), 2, 0)
        generation.fill(PROMPTS, lambda _done, _total: None)
        (whole,) = generation.traces(PROMPTS, HOW)
        monkeypatch.setattr(room, "AT_ONCE", 4)
        parts = list(generation.traces(PROMPTS, HOW))
    assert [len(part) for part in parts] == [4, 4, 2]
    assert [trace for part in parts for trace in part] == whole


def test_a_few_failures_are_told_and_many_end_the_evaluation() -> None:
    assert refuse_failures(0, 100, "", 0.05) == ""
    assert refuse_failures(5, 100, "away", 0.05).startswith("5 of 100 completions failed; the first: away")
    with pytest.raises(LrmctlError, match="6 of 100 completions failed"):
        refuse_failures(6, 100, "away", 0.05)


@pytest.mark.e2e
def test_prompts_without_a_forced_thought_are_left_out_or_refused(
    evaluated: Any, base: Path, section: Section, tmp_path: Path
) -> None:
    thoughts = {"mode": "prefix", "thoughts": str(evaluated.out), "only": "unsafe", "tokens": 8}
    how = {"temperatures": [1.0], "samples": 1}
    summary = evaluate(base, section(decoding={**thoughts, "missing": "skip"}, **how), tmp_path)
    rows = read_rows(tmp_path / "eval-prefix-8" / "rows.jsonl")
    unsafe = {r.trace.prompt.id for r in evaluated.rows if r.thinking and r.thinking.outcome == "unsafe"}
    assert {r.trace.prompt.id for r in rows} == unsafe
    assert {s["set"] for s in summary["sets"]} == {"lab-harmful/heldout"}  # nothing else has unsafe thoughts
    assert summary["engine"]["decoding"]["left_out"] == 36 - len(unsafe)
    with pytest.raises(RecipeError, match="have no thought"):
        evaluate(base, section(decoding=thoughts, **how), tmp_path)
