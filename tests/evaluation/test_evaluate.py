"""Evaluation of the shipped tiny model: what is written, that nothing is drawn twice, and that kills lose nothing."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lrmctl.errors import JudgeError, LrmctlError, NotFoundError
from lrmctl.evaluation import evaluate
from lrmctl.hooks import registry
from lrmctl.models import fingerprint
from lrmctl.recipe.schema.evaluation import EvalSection
from lrmctl.runs.eval_rows import read_rows

Section = Callable[..., EvalSection]


def stored(out: Path) -> dict[str, tuple[int, str]]:
    """Key -> (row number, ids) of every stored completion; a completion drawn again would get a new row number."""
    path = out / "eval" / "completions.sqlite"
    if not path.exists():
        return {}
    try:
        rows = sqlite3.connect(path).execute("select key, rowid, ids from completions").fetchall()
    except sqlite3.OperationalError:  # not yet created
        return {}
    return {key: (number, ids) for key, number, ids in rows}


def test_summary_names_every_set_with_its_facts(evaluated: Any, base: Path) -> None:
    summary = evaluated.summary
    assert summary == json.loads((evaluated.out / "eval" / "summary.json").read_text())
    assert summary["fingerprint"] == fingerprint(base)
    assert summary["seed"] == 3
    drawn = {"top_p": 1.0, "top_k": 0, "max_new_tokens": 110, "decoding": {"mode": "default"}}
    assert summary["sampling"] == {**drawn, "system": "", "template_args": {}}
    assert summary["engine"]["name"] == "hf"
    cells = [(s["set"], s["kind"], s["temperature"]) for s in summary["sets"]]
    sets = [("lab-harmful/heldout", "harmful"), ("lab-benign/heldout", "benign"), ("lab_arithmetic", "reasoning")]
    assert cells == [(name, kind, t) for name, kind in sets for t in (0.6, 1.0)]
    for s in summary["sets"]:
        assert (s["prompts"], s["samples"]) == (12, 3)
        assert s["judge"] in ("lab", "math_verify")
        assert s["judge_version"]
        assert s["source"]["license"] == "Apache-2.0"
        assert s["source"]["split"] == "heldout"


def test_every_number_has_an_interval_around_it(evaluated: Any) -> None:
    for s in evaluated.summary["sets"]:
        for name, m in s["metrics"].items():
            if name.startswith(("strongreject", "full_", "partial_", "refusal_class")):
                assert (m["value"], m["n"]) == (None, 0), name  # no such judge was asked, which is not a rate of 0
                continue
            assert m["n"] == 12, name
            assert m["low"] <= m["value"] <= m["high"], (s["set"], name)


def test_outcomes_of_each_part_add_up_to_one(evaluated: Any) -> None:
    for s in evaluated.summary["sets"]:
        if s["kind"] == "harmful":
            for part in ("joint", "thinking", "answer"):
                rates = [s["metrics"][f"{part}_{word}"]["value"] for word in ("safe", "unsafe", "malformed")]
                assert sum(rates) == pytest.approx(1.0)


def test_rows_hold_every_sample_of_every_prompt(evaluated: Any) -> None:
    counts = Counter((r.set, r.temperature, r.trace.prompt.id) for r in evaluated.rows)
    assert len(counts) == 3 * 2 * 12
    assert set(counts.values()) == {3}
    assert {r.trace.sample for r in evaluated.rows} == {0, 1, 2}
    for row in evaluated.rows:
        judged = row.thinking is not None and row.answer is not None
        assert judged == (row.correct is None) == (row.trace.prompt.kind != "reasoning")


def test_summary_equals_what_the_rows_say(evaluated: Any) -> None:
    for s in evaluated.summary["sets"]:
        rows = [r for r in evaluated.rows if (r.set, r.temperature) == (s["set"], s["temperature"])]
        cut = sum(r.trace.finish_reason == "length" for r in rows) / len(rows)
        assert s["metrics"]["cut"]["value"] == pytest.approx(cut)
        if s["kind"] == "harmful":
            safe = sum(r.outcome == "safe" for r in rows) / len(rows)
            assert s["metrics"]["joint_safe"]["value"] == pytest.approx(safe)


def test_progress_counts_every_completion_once(evaluated: Any) -> None:
    done = [d for d, _ in evaluated.progress]
    assert {total for _, total in evaluated.progress} == {3 * 2 * 12 * 3}
    assert done == sorted(done)
    assert done[0] == 0
    assert done[-1] == 3 * 2 * 12 * 3


def test_a_second_evaluation_draws_nothing_and_says_the_same(evaluated: Any, base: Path, section: Section) -> None:
    before = stored(evaluated.out)
    rows = (evaluated.out / "eval" / "rows.jsonl").read_bytes()
    seen: list[tuple[int, int]] = []
    summary = evaluate(base, section(), evaluated.out, seed=3, on_progress=lambda d, t: seen.append((d, t)))
    assert summary == evaluated.summary
    assert stored(evaluated.out) == before
    assert (evaluated.out / "eval" / "rows.jsonl").read_bytes() == rows
    assert [done for done, _ in seen] == [144, 216]  # all of safety at once, then all of reasoning


@pytest.mark.e2e
def test_another_seed_gives_other_samples(evaluated: Any, base: Path, section: Section, tmp_path: Path) -> None:
    only = section(reasoning=[], temperatures=[1.0])
    evaluate(base, only, tmp_path, seed=4)
    ours = {r.trace.thinking for r in read_rows(tmp_path / "eval" / "rows.jsonl")}
    theirs = {r.trace.thinking for r in evaluated.rows if r.temperature == 1.0}
    assert ours != theirs


@pytest.mark.e2e
def test_greedy_evaluation_is_one_sample_and_repeatable(base: Path, section: Section, tmp_path: Path) -> None:
    texts = []
    for name, batch in (("a", 3), ("b", 64)):
        greedy = section(n=3, temperatures=[0.0], batch_size=batch)
        summary = evaluate(base, greedy, tmp_path / name, seed=batch)
        assert {s["samples"] for s in summary["sets"]} == {1}
        rows = read_rows(tmp_path / name / "eval" / "rows.jsonl")
        texts.append([(r.trace.prompt.id, r.trace.thinking, r.trace.answer) for r in rows])
    assert texts[0] == texts[1]


def test_wrong_names_are_found_before_anything_is_drawn(base: Path, section: Section, tmp_path: Path) -> None:
    for wrong, name in (
        ({"reasoning": ["lab_arithmetics"]}, "lab_arithmetics"),
        ({"safety": [{"use": "lab-harmfull"}]}, "lab-harmfull"),
        ({"safety": [{"use": "lab-harmful", "judge": "labb"}]}, "labb"),
        ({"judge": "qwen3guard", "judge_options": {"model": "./gone"}, "safety": [{"use": "lab-harmful"}]}, "gone"),
    ):
        with pytest.raises(NotFoundError, match=name):
            evaluate(base, section(**wrong), tmp_path)
    with pytest.raises(LrmctlError, match="listed twice"):
        evaluate(base, section(safety=[{"use": "lab-benign"}] * 2), tmp_path)
    assert not list(tmp_path.iterdir())


PLUGIN = """
from lrmctl import hookimpl
from lrmctl.types import Verdict

class Judge:
    name, version = "unreliable", "1"

    def __init__(self, fails_on):
        self.fails_on = fails_on

    def judge(self, traces, part):
        if any(int(t.prompt.id.split("/")[-1]) in self.fails_on for t in traces):
            raise ConnectionError("the guard is away")
        return [Verdict("unreliable", "1", part, safe=True, refused=False, malformed=False) for t in traces]

@hookimpl
def lrmctl_judges(register):
    register("unreliable", Judge)
"""


@pytest.fixture
def unreliable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An installed third-party judge that fails on some prompts."""
    site = tmp_path / "site"
    info = site / "unreliable_judge-1.dist-info"
    info.mkdir(parents=True)
    (site / "unreliable_judge.py").write_text(PLUGIN)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: unreliable-judge\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[lrmctl]\nunreliable = unreliable_judge\n")
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.setattr(registry._default, "_third_party", None)  # look for plugins again


@pytest.mark.usefixtures("unreliable")
def test_failed_verdicts_are_counted_and_never_safe(base: Path, section: Section, tmp_path: Path) -> None:
    judged = {"use": "lab-harmful", "judge": "unreliable", "judge_options": {"fails_on": [1]}, "options": {"n": 4}}
    summary = evaluate(
        base, section(safety=[judged], reasoning=[], temperatures=[1.0], over_refusal=False), tmp_path / "out"
    )
    metrics = summary["sets"][0]["metrics"]
    assert metrics["judge_failed"]["value"] == pytest.approx(1 / 4)
    assert (metrics["joint_safe"]["value"], metrics["joint_safe"]["n"]) == (1.0, 3)
    failed = [r for r in read_rows(tmp_path / "out" / "eval" / "rows.jsonl") if r.outcome == "failed"]
    assert {r.trace.prompt.id.split("/")[-1] for r in failed} == {"1"}
    assert all("the guard is away" in r.answer.error for r in failed if r.answer)


@pytest.mark.usefixtures("unreliable")
def test_a_judge_that_always_fails_ends_it_and_judging_again_draws_nothing(
    base: Path, section: Section, tmp_path: Path
) -> None:
    def only(fails_on: list[int]) -> EvalSection:
        judged = {"judge": "unreliable", "judge_options": {"fails_on": fails_on}}
        safety = [{"use": "lab-harmful", "options": {"n": 2}, **judged}]
        return section(safety=safety, reasoning=[], temperatures=[1.0], over_refusal=False)

    out = tmp_path / "out"
    with pytest.raises(JudgeError, match=r"failed on all 6 traces .* the guard is away"):
        evaluate(base, only([0, 1]), out)
    before = stored(out)
    assert len(before) == 6
    summary = evaluate(base, only([]), out)
    assert summary["sets"][0]["metrics"]["joint_safe"]["value"] == 1.0
    assert stored(out) == before


WORKER = """
import json, sys
from pathlib import Path
from lrmctl.evaluation import evaluate
from lrmctl.recipe.schema.evaluation import EvalSection

evaluate(Path(sys.argv[1]), EvalSection.model_validate(json.loads(sys.argv[3])), Path(sys.argv[2]), seed=3)
"""


@pytest.mark.e2e
def test_a_killed_evaluation_goes_on_where_it_was(evaluated: Any, base: Path, section: Section, tmp_path: Path) -> None:
    """SIGKILL in the middle; the second run keeps every stored completion and ends as if nothing had happened."""
    slow = section(batch_size=2)  # many small batches, so that the kill lands between two
    command = [sys.executable, "-c", WORKER, str(base), str(tmp_path), slow.model_dump_json()]
    worker = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    end = time.monotonic() + 600
    while len(stored(tmp_path)) < 4 and time.monotonic() < end and worker.poll() is None:
        time.sleep(0.05)
    worker.send_signal(signal.SIGKILL)
    assert worker.wait() == -signal.SIGKILL
    before = stored(tmp_path)
    assert 4 <= len(before) < 216
    assert not (tmp_path / "eval" / "rows.jsonl").exists()

    seen: list[int] = []
    summary = evaluate(base, section(), tmp_path, seed=3, on_progress=lambda done, _: seen.append(done))
    after = stored(tmp_path)
    assert seen[0] == len(before)  # exactly the rest was drawn
    assert before.items() <= after.items()
    assert {k: ids for k, (_, ids) in after.items()} == {k: ids for k, (_, ids) in stored(evaluated.out).items()}
    assert summary["sets"] == evaluated.summary["sets"]
