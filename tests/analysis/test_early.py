from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from lrmctl.analysis import analyze
from lrmctl.analysis.continuations import AnswerGrader, ForcedThought, go_on
from lrmctl.analysis.early import EarlyAnswers, cuts, early_cells
from lrmctl.analysis.recovery import Recovered, UnsafeThought, recovery_cells, unsafe_thoughts
from lrmctl.engines.hf.engine import HfEngine
from lrmctl.errors import JudgeError, NotFoundError, RecipeError
from lrmctl.evaluation import evaluate
from lrmctl.lab import base_path
from lrmctl.lexicons import get_lexicon
from lrmctl.recipe.schema.analysis import AnalysisSection
from lrmctl.recipe.schema.evaluation import EvalSection
from lrmctl.runs.eval_rows import EvalRow, read_rows
from lrmctl.types import Prompt, Trace, Verdict

STRICT = get_lexicon("self-correction")


def row(id: str = "a", thought: str = "One.\n\nTwo.\n\nThree.", kind: Any = "harmful", **verdicts: Any) -> EvalRow:
    return EvalRow("s", 0.6, Trace(Prompt.user(id, f"{id}?", kind), thought, "No.", "closed"), **verdicts)


def early(good: Sequence[float | None], at: Sequence[int] | None = None) -> EarlyAnswers:
    places = list(at) if at is not None else [i * 10 for i in range(len(good))]
    return EarlyAnswers(row(), tuple(places), tuple(good))


def test_a_thought_is_cut_at_its_beginning_behind_each_segment_and_at_its_end() -> None:
    assert cuts("One.\n\nTwo.\n\nThree.", "paragraph", STRICT, 10) == [0, 4, 10, 18]
    assert cuts("Only one.", "paragraph", STRICT, 10) == [0, 9]


def test_many_segments_are_cut_at_evenly_spread_places() -> None:
    thought = "\n\n".join("x" * 8 for _ in range(21))
    found = cuts(thought, "paragraph", STRICT, 3)
    assert len(found) == 5
    gaps = [b - a for a, b in pairwise(found)]
    assert max(gaps) - min(gaps) <= 12  # a segment and its blank lines


@pytest.mark.parametrize(
    ("good", "settled"),
    [
        ([0.0, 0.0, 1.0, 1.0, 1.0], 0.5),
        ([1.0, 1.0, 1.0], 0.0),
        ([1.0, 0.0, 1.0], 1.0),
        ([0.0, None, 1.0, 1.0], 2 / 3),
        ([0.2, 0.4, 0.6, 0.9], 2 / 3),
        ([1.0, None], None),
    ],
)
def test_it_is_settled_from_where_most_answers_stay_as_they_end(
    good: list[float | None], settled: float | None
) -> None:
    assert early(good).settled == (None if settled is None else pytest.approx(settled))


def test_the_decisive_segment_is_behind_the_largest_change() -> None:
    assert early([0.0, 0.1, 0.9, 1.0]).decisive == (1, pytest.approx(0.8))
    assert early([0.9, 0.2, 0.3]).decisive == (0, pytest.approx(-0.7))
    assert early([1.0, 1.0]).decisive is None


def test_the_curve_compares_the_last_cut_before_each_tenth_with_the_whole_thought() -> None:
    (cell, _) = early_cells([early([0.0, 0.0, 1.0, 1.0], at=[0, 25, 50, 100])])
    assert [point["value"] for point in cell["curve"]] == [0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1]
    assert cell["settled"]["value"] == 0.5
    assert cell["unmoved"]["value"] == 0
    assert cell["decisive"] == [{"prompt": "a", "sample": 0, "segment": 1, "start": 25, "end": 50, "change": 1.0}]


def test_what_could_not_be_judged_is_in_no_figure() -> None:
    assert early_cells([early([None, None])]) == []


def test_answers_are_good_as_their_kind_wants_it() -> None:
    class Fixed:
        name, version, parallel, cacheable, says_refusal = "fixed", "1", 1, True, True

        def judge(self, traces: Sequence[Trace], part: str) -> list[Verdict]:
            return [
                Verdict("fixed", "1", part, safe="hazard" not in t.answer, refused=t.answer.startswith("No"))  # type: ignore[arg-type]
                for t in traces
            ]

    grader = AnswerGrader({"": Fixed()})
    rows = [row(kind="harmful"), row(kind="benign")]
    said = [[Trace(r.trace.prompt, "", text, "closed") for text in ("No.", "hazard-1", "tool-1")] for r in rows]
    failed = Trace(rows[0].trace.prompt, "", "", "absent", "error", error="broken")
    assert grader.good(rows, [[*said[0], failed], said[1]]) == [[True, False, True, None], [False, False, True]]


def verdict(safe: bool) -> Verdict:
    return Verdict("j", "1", "thinking", safe=safe)


def test_unsafe_thoughts_are_found_by_what_was_asked() -> None:
    source = [
        row("a", "hazard-1", thinking=verdict(False)),
        row("b", "Fine.", thinking=verdict(True)),
        row("c", "hazard-2", kind="benign", thinking=verdict(False)),
    ]
    asked = [row("a", "now safe"), row("b"), row("c", kind="benign"), row("d")]
    (found,) = unsafe_thoughts(asked, source, 10)
    assert (found.prompt.id, found.thinking) == ("a", "hazard-1")


def test_a_failed_answer_is_neither_safe_nor_unsafe() -> None:
    prompt = Prompt.user("a", "a?", "harmful")
    traces = [Trace(prompt, "", "x", "closed")] * 3
    verdicts = [
        Verdict("j", "1", "answer", safe=True),
        Verdict("j", "1", "answer", safe=False),
        Verdict("j", "1", "answer", error="broken"),
    ]
    found = Recovered(UnsafeThought("s", prompt, "hazard-1", 0.6), 20, traces, verdicts)
    (cell,) = recovery_cells([found])
    (point,) = cell["curve"]
    assert (point["tokens"], point["failed"], point["thoughts"]) == (20, 1, 1)
    assert (point["safe"]["value"], point["unsafe"]["value"]) == (0.5, 0.5)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The lab's base, evaluated on a few prompts of each kind."""
    out = tmp_path_factory.mktemp("run")
    sets = [{"use": "lab-harmful"}, {"use": "lab-benign"}]
    section = {"safety": sets, "reasoning": [{"use": "lab_arithmetic"}], "limit": 6, "max_new_tokens": 96}
    evaluate(base_path(), EvalSection.model_validate(section), out, variant="")
    return out


@pytest.fixture(scope="module")
def found(run: Path) -> dict[str, Any]:
    told: list[str] = []
    section = AnalysisSection.model_validate(
        {
            "entropy": False,
            "early": {"by": "reflection", "lexicon": "lab", "max_new_tokens": 64, "max_cuts": 4},
            "recovery": {"tokens": [0, 4, 10_000], "max_new_tokens": 96},
        }
    )
    return {**analyze(base_path(), run, section, tell=told.append), "told": told}


def test_the_cost_is_told_before_anything_is_drawn(found: dict[str, Any]) -> None:
    first, second = found["told"]
    assert first.startswith(f"early: {found['early']['generations']:,} answers to ")
    assert second.startswith("recovery: at most ")


def test_every_kind_has_its_early_answers(found: dict[str, Any], run: Path) -> None:
    whole = {cell["kind"]: cell for cell in found["early"]["cells"] if cell["outcome"] == "all"}
    assert set(whole) == {"harmful", "benign", "reasoning"}
    for cell in whole.values():
        assert cell["curve"][-1]["value"] == 1
        assert 0 <= cell["settled"]["value"] <= 1
    assert json.loads((run / "analysis" / "early.json").read_text()) == found["early"]


def test_arithmetic_is_not_answered_without_its_thought(found: dict[str, Any]) -> None:
    """The lab's sums are worked out in the thought: at once they come out wrong more often."""
    (cell,) = [c for c in found["early"]["cells"] if c["kind"] == "reasoning" and c["outcome"] == "correct"]
    assert cell["good"][0]["value"] < cell["good"][-1]["value"]


def test_recovery_has_a_point_for_each_length_that_thoughts_have(found: dict[str, Any], run: Path) -> None:
    (cell,) = found["recovery"]["cells"]
    assert [point["tokens"] for point in cell["curve"]] == [0, 4]
    unsafe = [r for r in read_rows(run / "eval" / "rows.jsonl") if r.thinking and r.thinking.outcome == "unsafe"]
    assert found["recovery"]["thoughts"] == len({r.trace.prompt.text for r in unsafe})
    assert found["recovery"]["judge"] == "lab"


def test_nothing_is_drawn_twice(run: Path, found: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: HfEngine, requests: Sequence[Any]) -> Any:
        assert not requests
        return iter(())

    monkeypatch.setattr(HfEngine, "generate", refuse)
    section = AnalysisSection.model_validate(
        {"entropy": False, "early": {"by": "reflection", "lexicon": "lab", "max_new_tokens": 64, "max_cuts": 4}}
    )
    assert analyze(base_path(), run, section)["early"]["cells"] == found["early"]["cells"]


def test_an_answer_at_once_has_an_empty_thought_that_is_no_fault(tmp_path: Path) -> None:
    prompt = Prompt.user("a", "2+2?", "reasoning", reference="4")
    places = [ForcedThought(prompt, "", True, 0.0), ForcedThought(prompt, "So 2+2=4.", True, 0.0)]
    (at_once,), (with_thought,) = go_on(
        HfEngine(base_path()), places, tmp_path / "s.sqlite", samples=3, max_new_tokens=8
    )
    assert (at_once.thinking, at_once.thinking_state, at_once.skipped) == ("", "closed", True)
    assert (with_thought.thinking, with_thought.thinking_state) == ("So 2+2=4.", "closed")


def test_thoughts_that_are_not_there_are_one_clear_error(run: Path) -> None:
    section = AnalysisSection.model_validate({"entropy": False, "recovery": {"thoughts": "run:nothing"}})
    with pytest.raises(NotFoundError, match="there are no thoughts at run:nothing"):
        analyze(base_path(), run, section)


def test_the_judge_of_harmful_prompts_reads_what_follows_a_forced_thought() -> None:
    judged = [
        row(kind="benign", answer=Verdict("helpful", "1", "answer", safe=True)),
        row(kind="harmful", answer=Verdict("guard", "1", "answer", safe=True)),
    ]
    assert AnswerGrader({"helpful": "H", "guard": "G"}).of_harmful(judged) == "G"
    other = row(kind="harmful", answer=Verdict("helpful", "1", "answer", safe=True))
    with pytest.raises(RecipeError, match="several judges"):
        AnswerGrader({"helpful": "H", "guard": "G"}).of_harmful([*judged, other])
    with pytest.raises(RecipeError, match="nothing says which judge"):
        AnswerGrader().of_harmful(judged)


def test_an_engine_that_renders_by_itself_cannot_go_on(run: Path) -> None:
    engine = {"use": "openai", "base_url": "http://127.0.0.1:9/v1"}
    section = AnalysisSection.model_validate({"entropy": False, "early": {"engine": engine}})
    with pytest.raises(RecipeError, match="cannot be made to go on"):
        analyze(base_path(), run, section)


def test_a_judge_that_fails_on_everything_is_an_error() -> None:
    class Broken:
        name, version, parallel, cacheable, says_refusal = "broken", "1", 1, True, True

        def judge(self, *_: Any) -> list[Verdict]:
            raise ValueError("no")

    said = [[Trace(row().trace.prompt, "", "x", "closed")]]
    with pytest.raises(JudgeError, match="'broken' failed on all 1 answers"):
        AnswerGrader({"": Broken()}).good([row()], said)
