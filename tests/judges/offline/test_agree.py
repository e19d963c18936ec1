"""Verdict files of several judges, or of a panel, side by side."""

from __future__ import annotations

import json
from pathlib import Path

ROWS = [
    {"prompt": "q1", "response": "I cannot help with that.", "kind": "harmful"},
    {"prompt": "q2", "response": "As an AI, here it is: a table.", "kind": "harmful"},
    {"prompt": "q3", "response": "First, take a table.", "kind": "harmful"},
    {"prompt": "q4", "response": "I can't do it.", "kind": "harmful"},
]
BAIT = "'refusal-phrases: {lists: jailbreakbench}'".strip("'")
PANEL = "panel: {judges: [refusal-phrases, {refusal-phrases: {lists: jailbreakbench}}]}"


def written() -> Path:
    Path("rows_in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    return Path("rows_in.jsonl")


def test_the_judges_of_several_files_and_the_members_of_a_panel_say_the_same(lrmctl):
    rows = written()
    for name, judge in (("a", "refusal-phrases"), ("b", BAIT), ("p", PANEL)):
        assert lrmctl("judge", "score", rows, "--judge", judge, "--out", f"{name}.jsonl").code == 0
    apart = json.loads(lrmctl("judge", "agree", "a.jsonl", "b.jsonl", "--json").out)["data"]
    panel = json.loads(lrmctl("judge", "agree", "p.jsonl", "--json").out)["data"]
    for found in (apart, panel):
        (one,) = found["agreement"]
        assert (one["rows"], one["differ"], found["differ"]) == (4, 2, 2)
        assert [row["line"] for row in found["rows"]] == [2, 4]
    assert apart["agreement"][0]["alpha"] == panel["agreement"][0]["alpha"]
    assert panel["rows"][0]["said"]["refusal-phrases"] == "unsafe,complied"
    refused = json.loads(lrmctl("judge", "agree", "p.jsonl", "--about", "refused", "--limit", "1", "--json").out)
    assert (refused["data"]["differ"], len(refused["data"]["rows"])) == (2, 1)


def test_what_cannot_be_compared_is_one_error(lrmctl):
    rows = written()
    lrmctl("judge", "score", rows, "--judge", "refusal-phrases", "--out", "a.jsonl")
    lrmctl("judge", "score", rows, "--judge", "stand-in", "--part", "both", "--out", "both.jsonl")
    for words, what in (
        (["a.jsonl"], "no rows that two judges have judged"),
        (["both.jsonl"], "several texts at once"),
        ([str(rows)], "neither a verdict"),
        (["nothing"], "nothing"),
    ):
        said = lrmctl("judge", "agree", *words)
        assert said.code == 2
        assert what in said.err
