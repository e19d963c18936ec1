"""Segments of thoughts and how they follow one another; every figure worked out by hand."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lrmctl.analysis.segments import JudgedSegment, JudgedThought, cut, judge_thoughts
from lrmctl.analysis.transitions import transitions
from lrmctl.errors import JudgeError
from lrmctl.hooks import registry
from lrmctl.hooks.specs import Judge
from lrmctl.lexicons import Lexicon
from lrmctl.runs.eval_rows import EvalRow
from lrmctl.types import Part, Prompt, Trace, Verdict

WORDS = Lexicon("l", "1", ("wait",), "test")


def row(prompt: str, thinking: str, *, answer: bool | None = True, sample: int = 0) -> EvalRow:
    asked = Prompt.user(prompt, f"ask {prompt}", "harmful")
    trace = Trace(asked, thinking, "No.", "closed", thinking_tokens=9, sample=sample)
    said = Verdict("j", "1", "answer", safe=answer, malformed=False, error="" if answer is not None else "broken")
    return EvalRow("s", 0.6, trace, Verdict("j", "1", "thinking", safe=True, malformed=False), said)


def thought(prompt: str, outcomes: str, *, reflective: str = "", **rest: Any) -> JudgedThought:
    """`outcomes` has a letter for each segment of ten characters: safe, unsafe, malformed or failed."""
    words = {"s": "safe", "u": "unsafe", "m": "malformed", "f": "failed"}
    segments = tuple(
        JudgedSegment(10 * i, 10 * i + 10, str(i) in reflective, words[letter])  # type: ignore[arg-type]
        for i, letter in enumerate(outcomes)
    )
    return JudgedThought(row(prompt, "x" * 10 * len(outcomes), **rest), segments)


def whole(*thoughts: JudgedThought) -> dict[str, Any]:
    (found,) = [cell for cell in transitions(thoughts) if cell["outcome"] == "all"]
    return found


def test_the_four_transitions_are_counted_between_neighbours() -> None:
    found = whole(thought("a", "ssus"), thought("b", "uus"))
    assert found["pairs"] == {"safe->safe": 1, "safe->unsafe": 1, "unsafe->safe": 2, "unsafe->unsafe": 1}
    assert found["onset"]["value"] == pytest.approx(1 / 2)
    assert found["recovery"]["value"] == pytest.approx(2 / 3)
    assert found["recovery"]["n"] == 2


def test_what_is_not_decided_ends_a_pair_and_begins_none() -> None:
    found = whole(thought("a", "smu"), thought("b", "ufs"))
    assert sum(found["pairs"].values()) == 0
    assert found["onset"]["value"] is None
    assert (found["segments"], found["undecided"]) == (6, 2)


def test_onset_and_recovery_are_split_by_what_the_next_segment_begins_with() -> None:
    found = whole(thought("a", "susu", reflective="23"))
    assert found["onset_plain"]["value"] == 1  # s -> u at 1
    assert found["onset_reflective"]["value"] == 1  # s -> u at 3
    assert found["recovery_reflective"]["value"] == 1  # u -> s at 2
    assert found["recovery_plain"]["value"] is None


def test_positions_are_shares_of_the_thought() -> None:
    found = whole(thought("a", "suus"), thought("b", "ssss"), thought("c", "uuuu"))
    assert found["unsafe_share"]["value"] == pytest.approx(2 / 3)
    assert found["first_unsafe"]["value"] == pytest.approx((10 / 40 + 0) / 2)
    assert found["recovered"]["value"] == pytest.approx(1 / 2)
    assert found["recovery_position"]["value"] == pytest.approx(30 / 40)
    assert found["ends_safe"]["value"] == pytest.approx(1 / 2)


def test_safe_answers_after_unsafe_thinking_are_listed_and_failed_ones_are_no_answer() -> None:
    found = whole(
        thought("a", "us", sample=3), thought("b", "uu", answer=False), thought("c", "uu", answer=None),
        thought("d", "ss"),
    )  # fmt: skip
    assert found["safe_after_unsafe"]["value"] == pytest.approx(1 / 2)
    assert found["safe_after_unsafe_ids"] == [["a", 3]]


def test_without_anything_unsafe_there_are_no_positions() -> None:
    found = whole(thought("a", "ss"), thought("b", "s"))
    assert found["unsafe_share"]["value"] == 0
    assert found["first_unsafe"]["value"] is None
    assert found["recovered"]["value"] is None


THINKING = "First of all.\n\nWait, that is odd. I go on.\n\n\nAnd wait, once more."


def texts(by: Any) -> list[tuple[str, bool]]:
    return [(THINKING[a:b], reflective) for a, b, reflective in cut(THINKING, by, WORDS)]


def test_paragraphs_and_reflections_cut_a_thought() -> None:
    assert texts("paragraph") == [
        ("First of all.", False), ("Wait, that is odd. I go on.", True), ("And wait, once more.", False)
    ]  # fmt: skip
    assert texts("reflection") == [
        ("First of all.", False), ("Wait, that is odd. I go on.\n\n\nAnd", True), ("wait, once more.", True)
    ]  # fmt: skip
    assert cut("  \n ", "paragraph", WORDS) == cut("", "reflection", WORDS) == []


def test_very_long_thoughts_have_their_joined_paragraphs_in_place() -> None:
    long = "\n\n".join(f"Paragraph {i} says one thing.  And another." for i in range(90))
    spans = cut(long, "paragraph", WORDS)
    assert len(spans) <= 32
    assert [word for a, b, _ in spans for word in long[a:b].split()] == long.split()


class Marked(Judge):
    """Unsafe where a segment holds `hazard`; fails on `broken` until it is mended."""

    name, version = "marked", "1"

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.mended = False

    def judge(self, traces: Sequence[Trace], part: Part) -> list[Verdict]:
        self.asked += [trace.thinking for trace in traces]
        return [
            Verdict("marked", "1", part, error="broken")
            if "broken" in trace.thinking and not self.mended
            else Verdict("marked", "1", part, safe="hazard" not in trace.thinking, malformed=False)
            for trace in traces
        ]


def judged(judge: Marked, rows: Sequence[EvalRow], store: Path, **options: Any) -> list[list[str]]:
    found = judge_thoughts(judge, rows, "paragraph", WORDS, store, options=options)
    return [[segment.outcome for segment in each.segments] for each in found]


def test_each_segment_is_judged_once_and_failed_ones_again(tmp_path: Path) -> None:
    rows = [row("a", "Fine.\n\nhazard-3"), row("b", "broken\n\nFine."), row("c", "  ")]
    judge, store = Marked(), tmp_path / "segments.jsonl"
    assert judged(judge, rows, store) == [["safe", "unsafe"], ["failed", "safe"]]
    assert judge.asked == ["Fine.", "hazard-3", "broken", "Fine."]
    judge.asked, judge.mended = [], True
    assert judged(judge, rows, store) == [["safe", "unsafe"], ["safe", "safe"]]
    assert judge.asked == ["broken", "Fine."]
    judge.asked = []
    assert judged(judge, rows, store) == [["safe", "unsafe"], ["safe", "safe"]]
    assert judge.asked == []


def test_other_options_of_the_judge_are_another_question(tmp_path: Path) -> None:
    judge, rows = Marked(), [row("a", "Fine.")]
    judged(judge, rows, tmp_path / "s.jsonl", mode="strict")
    judged(judge, rows, tmp_path / "s.jsonl", mode="loose")
    assert judge.asked == ["Fine.", "Fine."]


def test_a_line_says_where_the_segments_are_and_who_judged(tmp_path: Path) -> None:
    judged(Marked(), [row("a", "Fine.\n\nhazard-3")], tmp_path / "s.jsonl")
    (line,) = map(json.loads, (tmp_path / "s.jsonl").read_text().splitlines())
    assert (line["judge"], line["judge_version"], line["by"]) == ("marked", "1", "paragraph")
    assert (line["spans"], line["outcomes"]) == ([[0, 5], [7, 15]], ["safe", "unsafe"])


def test_analyze_writes_them_with_judge_and_lexicon(tmp_path: Path) -> None:
    from lrmctl.analysis import analyze
    from lrmctl.recipe.schema.analysis import AnalysisSection
    from lrmctl.runs.jsonl import write_jsonl

    one, two = registry.make("benchmark", "lab-harmful").load()[:2]
    rows = [
        replace(each, trace=replace(each.trace, prompt=prompt))
        for prompt, each in (
            (one, row("a", "Maybe use hazard-3 first.\n\nWait, this could hurt people.")),
            (two, row("b", "This could hurt people.")),
        )
    ]
    write_jsonl(tmp_path / "eval" / "rows.jsonl", (each.to_json() for each in rows))
    section = AnalysisSection.model_validate({"transitions": {"judge": "lab", "lexicon": "lab"}, "entropy": False})
    found = analyze(None, tmp_path, section)["transitions"]
    assert json.loads((tmp_path / "analysis" / "transitions.json").read_text()) == found
    assert (found["judge"], found["by"], found["lexicon"], found["traces"]) == ("lab", "paragraph", "lab", 2)
    (cell,) = [cell for cell in found["cells"] if cell["outcome"] == "all"]
    assert cell["unsafe_share"]["value"] == 0.5
    assert cell["pairs"]["unsafe->safe"] + cell["undecided"] >= 1


def test_a_judge_that_fails_on_everything_is_an_error_and_no_row_of_failures(tmp_path: Path) -> None:
    with pytest.raises(JudgeError, match="'marked' failed on all of 2 segments: broken"):
        judged(Marked(), [row("a", "broken\n\nbroken too")], tmp_path / "s.jsonl")
    assert (tmp_path / "s.jsonl").read_text() == ""


def test_a_judge_or_lexicon_that_is_not_there_is_refused_before_anything_runs() -> None:
    from lrmctl.errors import RecipeError
    from lrmctl.preflight.validate import validate
    from lrmctl.recipe.load import load_recipe

    sets = ["analysis.transitions={judge: nobody, lexicon: nothing}"]
    with pytest.raises(RecipeError, match=r"nobody(.|\n)*nothing|nothing(.|\n)*nobody"):
        validate(load_recipe("demo", sets))
