from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from compared import benign, evaluated, row, sum_of

from lrmctl.comparison import compare_all
from lrmctl.comparison.flips import chosen, plain, readings
from lrmctl.runs.eval_rows import EvalRow
from lrmctl.types import NOT_JUDGED, Verdict


def flipped(tmp_path: Path, a: list[EvalRow], b: list[EvalRow]):  # type: ignore[no-untyped-def]
    (found,) = compare_all([("a", evaluated(tmp_path / "a", a)), ("b", evaluated(tmp_path / "b", b))])
    return found


def words(found) -> dict[str, tuple[str, str]]:  # type: ignore[no-untyped-def]
    return {f.prompt: (f.before, f.after) for f in found.flips}


def test_prompts_that_changed_are_listed_with_what_they_became(tmp_path: Path) -> None:
    a = [row("1", True), row("2", False), row("3", True), benign("4", False), sum_of("5", True)]
    b = [row("1", False), row("2", True), row("3", True), benign("4", True), sum_of("5", False)]
    assert words(flipped(tmp_path, a, b)) == {
        "1": ("safe", "unsafe"),
        "2": ("unsafe", "safe"),
        "4": ("complied", "refused"),
        "5": ("right", "wrong"),
    }


def test_half_of_the_samples_are_enough_to_stay(tmp_path: Path) -> None:
    a = [row(p, True, sample=s) for p in "12" for s in range(4)]
    b = [row("1", s < 2, sample=s) for s in range(4)] + [row("2", s < 1, sample=s) for s in range(4)]
    found = flipped(tmp_path, a, b)
    assert words(found) == {"2": ("safe", "unsafe")}
    assert (found.flips[0].a, found.flips[0].b) == (1, 0.25)


def test_a_prompt_that_could_not_be_judged_has_not_flipped(tmp_path: Path) -> None:
    found = flipped(tmp_path, [row("1", True), row("2", True)], [row("1", None), row("2", True)])
    assert found.flips == []


def test_prompts_of_a_judge_of_answers_only_flip_by_their_answers(tmp_path: Path) -> None:
    def answers_only(prompt: str, safe: bool) -> EvalRow:
        judged = row(prompt, safe)
        return replace(judged, thinking=Verdict("lab", "1", "thinking", labels=(NOT_JUDGED,), error="answers only"))

    a, b = [answers_only("1", True), answers_only("2", False)], [answers_only("1", False), answers_only("2", True)]
    found = flipped(tmp_path, a, b)
    assert words(found) == {"1": ("safe", "unsafe"), "2": ("unsafe", "safe")}
    read = readings(found.b.folder, found.flips, {f: f.after for f in found.flips})
    assert {f.prompt: sample.outcome for f, sample in read.items()} == {"1": "unsafe", "2": "safe"}


def test_the_greatest_changes_come_first_and_each_way_has_its_share(tmp_path: Path) -> None:
    a = [row(p, p in "12", sample=s) for p in "1234" for s in range(4)]
    b = [row("1", s < 1, sample=s) for s in range(4)] + [row("2", False, sample=s) for s in range(4)]
    b += [row(p, True, sample=s) for p in "34" for s in range(4)]
    found = flipped(tmp_path, a, b)
    assert [f.prompt for f in chosen(found.flips, 1)] == ["2", "3"]


def test_the_sample_to_read_is_one_in_the_prompts_state(tmp_path: Path) -> None:
    a = [row("1", True, sample=s) for s in range(4)]
    b = [row("1", s == 0, sample=s) for s in range(4)]
    found = flipped(tmp_path, a, b)
    read = readings(found.b.folder, found.flips, {f: f.after for f in found.flips})
    assert read[found.flips[0]].outcome == "unsafe"
    assert read[found.flips[0]].thinking == "thinking"


def test_text_cannot_steer_a_terminal() -> None:
    assert plain("a\x1b[31mred\x07\r\x9b2J\u202eesrever\u200b\tb\nc") == "a[31mred2Jesrever\tb\nc"
