"""`lrmctl compare` and `lrmctl export` as typed."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest

from lrmctl.metrics import summarize
from lrmctl.runs.eval_rows import EvalRow
from lrmctl.runs.jsonl import write_jsonl
from lrmctl.types import Prompt, Trace, Verdict


def made(prompt: str, safe: bool, cut: bool = False) -> EvalRow:
    asked = Prompt.user(prompt, f"ask {prompt}", "harmful")
    trace = Trace(asked, "\x1b[2Jthought", "said", "closed", "length" if cut else "stop", 7, 2)
    thinking, answer = (
        Verdict("lab", "1", part, safe, malformed=False, refused=safe) for part in ("thinking", "answer")
    )  # type: ignore[arg-type]
    return EvalRow("a-set", 0.6, trace, thinking, answer)


def write(folder: Path, safe: str, cut: bool = False, **sampling: Any) -> None:
    """An evaluation of as many prompts as there are letters: `s` is safe."""
    rows = [made(f"p{i}", letter == "s", cut) for i, letter in enumerate(safe)]
    entry = {"set": "a-set", "kind": "harmful", "temperature": 0.6, "prompts": len(rows), "samples": 1}
    entry |= {"judge": "lab", "judge_version": "1", "metrics": summarize(rows, 1), "source": {"license": "MIT"}}
    write_jsonl(folder / "rows.jsonl", (row.to_json() for row in rows))
    summary = {"model": "m", "label": folder.parent.name, "seed": 0, "sampling": {"top_p": 1.0, **sampling}}
    (folder / "summary.json").write_text(json.dumps({**summary, "sets": [entry]}))


@pytest.fixture(autouse=True)
def runs(lrmctl: Any, tmp_path: Path) -> Path:  # noqa: ARG001  # the command line's working folder
    write(tmp_path / "runs/one/eval", "uuuuuuss")
    write(tmp_path / "runs/two/eval", "ssssssus", cut=True)
    write(tmp_path / "runs/three/eval", "ssssssss")
    write(tmp_path / "runs/one/eval-zero-think", "ssssssss", decoding={"mode": "zero-think"})
    return tmp_path / "runs"


def test_the_table_has_delta_test_holm_and_what_to_be_careful_about(lrmctl: Any) -> None:
    done = lrmctl("compare", "run:one", "two")
    assert done.code == 0
    line = next(text for text in done.out.splitlines() if text.startswith("joint_safe"))
    assert line.split()[:4] == ["joint_safe", "25.0", "87.5", "+62.5"]
    assert "6/1/1" in line
    assert "8 prompts x 1; judge lab 1; p: exact McNemar" in done.out
    assert "careful, a-set (harmful, T 0.6): cut at limit +100.0 points" in done.out
    assert "1 safe -> unsafe, 6 unsafe -> safe" in done.out
    assert max(map(len, done.out.splitlines())) <= 120  # names stay whole


def test_every_further_run_is_compared_with_the_first(lrmctl: Any) -> None:
    data = json.loads(lrmctl("compare", "one", "two", "three", "--json").out)["data"]
    assert [(c["a"]["name"], c["b"]["name"]) for c in data] == [("one", "two"), ("one", "three")]
    assert [c["deltas"][0]["delta"] for c in data] == [0.625, 0.75]
    assert [f["prompt"] for f in data[0]["flips"]] == ["p6", "p0", "p1", "p2", "p3", "p4", "p5"]


def test_csv_has_one_line_per_difference(lrmctl: Any) -> None:
    rows = list(csv.DictReader(io.StringIO(lrmctl("compare", "one", "two", "three", "--csv").out)))
    assert [(r["other"], r["metric"]) for r in rows if r["metric"] == "joint_safe"] == [
        ("two", "joint_safe"),
        ("three", "joint_safe"),
    ]
    assert float(rows[0]["delta"]) == 0.625


def test_markdown_has_a_table_that_renders(lrmctl: Any) -> None:
    lines = lrmctl("compare", "one", "two", "--md").out.splitlines()
    (row,) = [text for text in lines if "| joint\\_safe |" in text]
    (rule,) = [text for text in lines if text.startswith("| --- |") and text.count("|") == row.count("|")]
    assert rule


def test_flipped_prompts_are_read_without_control_characters(lrmctl: Any) -> None:
    done = lrmctl("compare", "one", "two", "--flips", "1", "--show-text")
    assert "p6  safe -> unsafe" in done.out
    assert "p0  unsafe -> safe" in done.out
    assert "[2Jthought" in done.out
    assert "\x1b" not in done.out


def test_a_variant_is_named_after_its_run_and_has_to_be_allowed(lrmctl: Any) -> None:
    write(Path("runs/one/eval"), "uuuuuuss", decoding={"mode": "default"})
    refused = lrmctl("compare", "one", "one@zero-think")
    assert refused.code == 2
    assert "--allow decoding" in refused.err
    done = lrmctl("compare", "one", "one@zero-think", "--allow", "decoding")
    assert done.code == 0
    assert "allowed: sampling decoding is" in done.out


def test_only_the_metrics_asked_for_are_shown(lrmctl: Any) -> None:
    deltas = json.loads(lrmctl("compare", "one", "two", "--metric", "cut", "--json").out)["data"][0]["deltas"]
    assert [(d["metric"], d["losses"]) for d in deltas] == [("cut", 8)]
    every = json.loads(lrmctl("compare", "one", "two", "--all", "--json").out)["data"][0]["deltas"]
    assert {"joint_safe", "joint_unsafe", "thinking_tokens", "cut"} <= {d["metric"] for d in every}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["one"], "nothing to compare it with"),
        (["one", "two", "--md", "--csv"], "exclude each other"),
        (["one", "two", "--show-text"], "--flips N"),
        (["one", "nowhere"], "there is no run 'nowhere'"),
        (["one", "two", "--allow", "everything"], "--allow"),
    ],
)
def test_what_cannot_be_done_is_refused_in_words(lrmctl: Any, words: list[str], said: str) -> None:
    done = lrmctl("compare", *words)
    assert done.code == 2
    assert said in done.err


def test_results_are_exported_beside_the_evaluation_and_not_overwritten(lrmctl: Any) -> None:
    done = lrmctl("export", "run:one", "--to", "lm-eval")
    assert done.code == 0
    assert [Path(line).parent for line in done.out.splitlines()] == [Path("runs/one/eval/export/lm-eval")] * 2
    assert "harmful ones too" in done.err
    again = lrmctl("export", "run:one", "--to", "lm-eval")
    assert again.code == 2
    assert "not overwritten" in again.err


def test_an_export_without_text_says_nothing_of_texts(lrmctl: Any) -> None:
    done = lrmctl("export", "one@zero-think", "--to", "hf", "--out", "tables", "--no-text")
    assert (done.code, done.err) == (0, "")
    names = sorted(p.name for p in Path("tables").iterdir())
    assert [name.partition("-")[0] for name in names] == ["README.md", "metrics", "rows"]
