"""Panels in an evaluation: what each member said is on disk, and how far they agree is beside every figure."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lrmctl.evaluation.benchmarks import ExtraJudge, PreparedBenchmark
from lrmctl.evaluation.judge import judge_set
from lrmctl.evaluation.summary import safety_entries
from lrmctl.judges.base import make_judge
from lrmctl.judges.panel.opinions import opinions_in
from lrmctl.metrics.remarks import agreement_sentences
from lrmctl.runs.eval_rows import read_rows
from lrmctl.runs.same_judge import same_judge
from lrmctl.types import Prompt, Trace

LISTS = ["refusal-phrases", {"refusal-phrases": {"lists": "jailbreakbench"}}]
ANSWERS = ["I cannot help with that.", "As an AI, here it is: a table.", "First, take a table.", "I can't do it."]


def entries(judge: str, options: dict, *also: str) -> list[dict]:
    traces = [Trace(Prompt.user(f"p{i}", "?", "harmful"), "So.", a, "closed") for i, a in enumerate(ANSWERS * 5)]
    extra = tuple(ExtraJudge(make_judge(name), "answer") for name in also)
    chosen = PreparedBenchmark("set", (), make_judge(judge, options), extra, None, {})
    return safety_entries(chosen, list(judge_set(chosen, [[(0.6, trace) for trace in traces]])))


def test_the_members_of_a_panel_are_compared_on_each_question_that_two_of_them_answer():
    (entry,) = entries("panel", {"judges": LISTS})
    assert [m["version"] for m in entry["panel"]["members"]] == ["3/lrmctl", "3/jailbreakbench"]
    assert entry["panel"]["by"] == "majority"
    assert [(a["of"], a["part"], a["about"], a["rows"], a["differ"]) for a in entry["agreement"]] == [
        ("panel", "answer", "unsafe", 20, 10),
        ("panel", "answer", "refused", 20, 10),
    ]
    (unsafe, _) = entry["agreement"]
    assert unsafe["low"] < unsafe["alpha"] < unsafe["high"]
    said = next(agreement_sentences(entry))
    assert said.startswith("2 members of the panel on unsafe (answer): Krippendorff's alpha")


def test_the_judge_and_the_additional_ones_are_compared_too():
    (entry,) = entries("refusal-phrases", {}, "stand-in")
    assert {(a["of"], a["about"], tuple(a["raters"])) for a in entry["agreement"]} == {
        ("judges", "unsafe", ("refusal-phrases", "stand-in")),
        ("judges", "refused", ("refusal-phrases", "stand-in")),
    }
    assert "panel" not in entry


def test_one_judge_has_nothing_to_agree_with():
    (entry,) = entries("refusal-phrases", {})
    assert "agreement" not in entry


def test_a_run_that_was_rewarded_by_a_member_is_told_of(tmp_path: Path):
    judged = {"sets": [{"judge": "panel", "kind": "harmful", "panel": {"members": [{"judge": "qwen3guard"}]}}]}

    def rewarded(options: dict) -> str:
        recipe = {"recipe": {"reward": {"components": [{"use": "guard-bit", "options": options}]}}}
        (tmp_path / "lock.json").write_text(json.dumps(recipe))
        return same_judge(tmp_path, judged)

    assert "(qwen3guard)" in rewarded({"judge": "qwen3guard"})
    assert "(qwen3guard)" in rewarded({"judge": "panel", "judge_options": {"judges": ["lab", "qwen3guard"]}})
    assert not rewarded({"judge": "panel", "judge_options": {"judges": ["lab", "wildguard"]}})


@pytest.mark.e2e
def test_an_evaluation_with_a_panel_through_the_command_line(lrmctl):
    panel = "{panel: {judges: [stand-in, refusal-phrases, {refusal-phrases: {lists: jailbreakbench}}], by: majority}}"
    Path("panel.yaml").write_text(
        "kind: eval\nname: panel\nmodel: lab:tiny\nevaluation:\n  safety: [{use: lab-harmful, options: {n: 6}}]\n"
        f"  over_refusal: false\n  judge: {panel}\n  samples: 2\n  max_new_tokens: 60\n"
    )
    done = lrmctl("eval", "lab:tiny", "--recipe", "panel.yaml", "--name", "a")
    assert done.code == 0, done.err
    assert "members of the panel on unsafe (answer)" in done.out
    (entry,) = json.loads(Path("runs/a/eval/summary.json").read_text())["sets"]
    assert len(entry["panel"]["members"]) == 3
    rows = read_rows(Path("runs/a/eval/rows.jsonl"))
    assert len(rows) == 12
    assert all(len(opinions_in(row.answer)) == 3 for row in rows)
    (unsafe,) = [a for a in entry["agreement"] if (a["part"], a["about"]) == ("answer", "unsafe")]
    said = json.loads(lrmctl("judge", "agree", "a", "--part", "answer", "--json").out)["data"]
    assert said["agreement"] == [{"set": entry["set"], "kind": "harmful", "temperature": 0.6, **unsafe}]
    assert len(said["rows"]) == said["differ"] == unsafe["differ"] > 0
    shown = lrmctl("judge", "agree", "a", "--part", "answer", "--limit", "1")
    assert "stand-in: " in shown.out
    assert f"{unsafe['differ'] - 1} more rows on which they differ" in shown.err
    page = lrmctl("report", "a", "--out", "page.html")
    assert page.code == 0, page.err
    assert "members of the panel on unsafe" in Path("page.html").read_text()
