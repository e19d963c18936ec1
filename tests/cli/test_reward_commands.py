"""`lrmctl reward`: what there is, the author's contract, and past rollouts scored anew."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from lrmctl.recipe.load import load_recipe
from lrmctl.recipe.schema.recipes import RlRecipe
from lrmctl.rewards.compose import ComposedReward
from lrmctl.rewards.service.protocol import encode_label
from lrmctl.types import Prompt, Trace

CODE = '''\
import random

def score(trace, *, limit: int = 5):
    """1 for a short answer.

    At most `limit` characters.
    """
    return len(trace.answer) <= limit

score.range = (0.0, 1.0)

def far(trace):
    return 3.0

far.range = (0.0, 1.0)

def dice(trace):
    return random.random()

def divides(trace):
    return 1 / len(trace.answer)

seen = []

def counts(trace):
    seen.append(trace)
    return len(seen)

def batch(traces):
    return [len(traces)] * len(traces)
'''
RECIPE = """\
kind: rl
name: mine
model: lab:tiny
prompts: [{use: lab-prompts}]
reward:
  components:
    - {fn: "./mine.py:score", name: short, options: {limit: 10}}
    - {use: correct, when: reasoning, part: answer, weight: 2.0}
rollout: {max_new_tokens: 110}
max_len: 256
"""


@pytest.fixture
def here(tmp_path: Path) -> Path:
    (tmp_path / "mine.py").write_text(CODE)
    (tmp_path / "mine.yaml").write_text(RECIPE)
    return tmp_path


def rollouts() -> list[Trace]:
    asked = [
        Prompt.user("sum", "2 + 2?", "reasoning", reference="4"),
        Prompt.user("hello", "hello?", "benign"),
    ]
    answers = [[r"\boxed{4}", r"\boxed{5}", r"It is surely \boxed{4}."], ["hi", "hello hello", "yes"]]
    return [
        Trace(prompt, "hm", answer, "closed", sample=i)
        for prompt, some in zip(asked, answers, strict=True)
        for i, answer in enumerate(some)
    ]


def write_run(folder: Path, recipe: Path) -> Path:
    """A run folder as training leaves it: rows without references, prompts with their labels."""
    recipe_read = load_recipe(recipe).recipe
    assert isinstance(recipe_read, RlRecipe)
    traces = rollouts()
    rewards = ComposedReward(recipe_read.reward).score(traces)
    rows = [
        {
            "n": i + 1, "attempt": 1, "phase": "train", "prompt_id": t.prompt.id, "kind": t.prompt.kind,
            "prompt": t.prompt.text, "thinking": t.thinking, "answer": t.answer, "thinking_state": t.thinking_state,
            "finish_reason": t.finish_reason, "reward": r.total, "error": r.error, "components": r.to_json(),
        }
        for i, (t, r) in enumerate(zip(traces, rewards, strict=True))
    ]  # fmt: skip
    (folder / "data").mkdir(parents=True)
    (folder / "status.json").write_text("{}")
    labels = [{"prompt": "x", "label": encode_label(t.prompt, opened=False)} for t in traces]
    (folder / "data" / "prompts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in labels))
    text = "".join(json.dumps(row) + "\n" for row in rows)
    (folder / "rollouts.jsonl").write_text(text + '{"n": 7, "torn')
    return folder


def test_the_list_names_every_reward_with_its_range(lrmctl: Callable) -> None:
    found = json.loads(lrmctl("reward", "list", "--json").out)["data"]
    by_name = {reward["name"]: reward for reward in found}
    assert by_name["correct"]["range"] == [0.0, 1.0]
    assert by_name["correct"]["origin"] == "lrmctl"
    assert "correct" in lrmctl("reward", "list").out


def test_show_reads_a_file_and_does_not_run_it(lrmctl: Callable, tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    text = f"open({str(mark)!r}, 'w')\ndef score(trace, *, low: float = 0.5):\n    'A line.'\nscore.range = (-1, low)\n"
    (tmp_path / "loud.py").write_text(text)
    shown = lrmctl("reward", "show", str(tmp_path / "loud.py:score"), "--json")
    data = json.loads(shown.out)["data"]
    assert (data["doc"], data["options"], data["range"]) == (
        "A line.",
        [{"name": "low", "default": "0.5", "annotation": "float"}],
        None,
    )
    assert not mark.exists()
    missing = lrmctl("reward", "show", str(tmp_path / "loud.py:scor"))
    assert (missing.code, "did you mean 'score'?" in missing.err) == (2, True)


@pytest.mark.usefixtures("here")
def test_show_prints_documentation_options_and_range(lrmctl: Callable) -> None:
    shown = lrmctl("reward", "show", "./mine.py:score").out
    assert "mine (" in shown
    assert "range [0, 1]" in shown
    assert "At most `limit` characters." in shown
    assert ["limit", "5", "int"] in [line.split() for line in shown.splitlines()]
    wrong = lrmctl("reward", "show", "corect")
    assert (wrong.code, "did you mean 'correct'?" in wrong.err) == (2, True)


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("name", ["correct", "format", "./mine.py:score"])
def test_a_reward_that_keeps_its_contract_passes_and_is_timed(lrmctl: Callable, name: str) -> None:
    done = lrmctl("reward", "test", name, "--seconds", "0.1", "--json")
    found = json.loads(done.out)["data"]
    assert done.code == 0
    assert [check["ok"] for check in found["checks"]] == [True] * 10
    assert 0 < found["latency_ms"]["single_p50"] <= found["latency_ms"]["single_p95"]


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    ("name", "check", "says"),
    [
        ("far", "in its range", "3 is not in [0, 1]"),
        ("dice", "the same twice", "asked twice"),
        ("counts", "the same twice", "asked twice"),
        ("batch", "alone as in a batch", "rest of the batch"),
        ("divides", "no failures", "ZeroDivisionError"),
    ],
)
def test_what_breaks_the_contract_is_a_finding(lrmctl: Callable, name: str, check: str, says: str) -> None:
    done = lrmctl("reward", "test", f"./mine.py:{name}", "--json", "--seconds", "0.1")
    found = {c["name"]: c for c in json.loads(done.out)["data"]["checks"]}
    assert done.code == 1
    assert not found[check]["ok"]
    assert says in found[check]["found"]
    assert "FINDING" in lrmctl("reward", "test", f"./mine.py:{name}", "--seconds", "0.1").out


def test_a_reward_is_tried_on_the_users_own_traces(lrmctl: Callable, here: Path) -> None:
    rows = [{"prompt": "a", "answer": "x" * n, "kind": "benign"} for n in (1, 2, 3)]
    (here / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    done = lrmctl("reward", "test", "./mine.py:divides", "--on", "rows.jsonl", "--seconds", "0.1", "--json")
    assert done.code == 0
    assert json.loads(done.out)["data"]["checks"][-1]["found"] == "none of 3 failed"


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["test", "./mine.py:scor"], "did you mean 'score'?"),
        (["test", "./mine.py:score", "--option", "limt=3"], "did you mean 'limit'?"),
        (["test", "./mine.py:score", "--option", "limit"], "--option name=value"),
        (["test", "./gone.py:score"], "there is no file"),
        (["test", "./mine.py"], "./file.py:function"),
        (["score", "rows.jsonl"], "exactly one of --recipe and --use"),
        (["score", "rows.jsonl", "--use", "format"], "there is no file rows.jsonl"),
        (["score", "mine.yaml", "--use", "format", "--part", "thought"], "--part"),
        (["score", "mine.yaml", "--use", "format"], "cannot read '.yaml' files"),
        (["score", "run:gone", "--use", "format"], "there is no run"),
        (["score", "mine.yaml", "--recipe", "lab/sft-mixed"], "has no reward"),
    ],
)
def test_input_that_cannot_be_used_is_one_clear_error(lrmctl: Callable, words: list[str], says: str) -> None:
    done = lrmctl("reward", *words)
    assert (done.code, done.out) == (2, "")
    assert says in done.err
    assert "Traceback" not in done.err


def test_a_run_scored_with_its_own_recipe_does_not_change(lrmctl: Callable, here: Path) -> None:
    """The reference answers are not in the rows: without the prompts of the run `correct` would fail."""
    write_run(here / "runs" / "old", here / "mine.yaml")
    done = lrmctl("reward", "score", "run:old", "--recipe", "mine.yaml", "--json")
    found = json.loads(done.out)["data"]
    assert (done.code, found["rollouts"]) == (0, 6)
    for row in found["differences"]:
        assert (row["delta"], row["changed"], row["failed"]) == (0.0, 0.0, 0)
        assert row["old_mean"] == row["new_mean"]
    by_name = {row["name"]: row for row in found["differences"]}
    assert {name: row["n"] for name, row in by_name.items()} == {
        "short": 6, "correct": 3, "total": 6, "total of reasoning": 3, "total of benign": 3
    }  # fmt: skip
    assert by_name["correct"]["correlation"] == pytest.approx(1.0)


def test_another_reward_shows_what_it_changes_and_writes_the_rows(lrmctl: Callable, here: Path) -> None:
    write_run(here / "runs" / "old", here / "mine.yaml")
    words = (
        "--set",
        "reward.components=[{fn: mine.py:score, name: short, options: {limit: 100}}]",
        "--out",
        "new.jsonl",
    )
    done = lrmctl("reward", "score", "run:old", "--recipe", "mine.yaml", *words, "--json")
    by_name = {row["name"]: row for row in json.loads(done.out)["data"]["differences"]}
    assert (by_name["short"]["old_mean"], by_name["short"]["new_mean"]) == (4 / 6, 1.0)
    assert by_name["short"]["delta"] == pytest.approx(2 / 6)
    assert by_name["short"]["changed"] == pytest.approx(2 / 6)
    assert by_name["short"]["low"] <= by_name["short"]["delta"] <= by_name["short"]["high"]
    assert (by_name["correct"]["n"], by_name["correct"]["new_n"]) == (0, 0)
    rows = [json.loads(line) for line in (here / "new.jsonl").read_text().splitlines()]
    assert [row["reward"] for row in rows] == [1.0] * 6
    assert rows[0]["before"]["reward"] == 3.0
    table = lrmctl("reward", "score", "run:old", "--recipe", "mine.yaml", *words, "--force").out
    assert "+0.3333 [" in table


def test_plain_rows_and_rows_of_evaluation_are_read(lrmctl: Callable, here: Path) -> None:
    plain = [
        {"prompt": "2 + 2?", "thinking": "2 and 2", "answer": r"\boxed{4}", "kind": "reasoning", "reference": "4"},
        {"prompt": "2 + 3?", "answer": r"\boxed{4}", "kind": "reasoning", "reference": "5"},
    ]
    evaluated = {"set": "s", "temperature": 0.6, "trace": rollouts()[0].to_json(), "thinking": None, "answer": None}
    (here / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in (*plain, evaluated)))
    found = json.loads(lrmctl("reward", "score", "rows.jsonl", "--use", "correct", "--json").out)["data"]
    (correct, total) = found["differences"]
    assert (correct["n"], correct["new_n"], correct["new_mean"]) == (0, 3, pytest.approx(2 / 3))
    assert total["new_mean"] == pytest.approx(2 / 3)


def test_a_reward_that_fails_on_rows_is_a_finding_and_no_zero(lrmctl: Callable, here: Path) -> None:
    rows = [{"prompt": "a", "answer": a, "kind": "benign", "reward": 1.0} for a in ("xx", "", "x")]
    (here / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    done = lrmctl("reward", "score", "rows.jsonl", "--use", "./mine.py:divides", "--json")
    total = json.loads(done.out)["data"]["differences"][-1]
    assert (done.code, total["failed"], total["new_n"], total["new_mean"]) == (1, 1, 2, 0.75)
    assert "failed on 1 of 3" in done.err


def test_a_run_shows_which_component_moved_its_reward(lrmctl: Callable, here: Path) -> None:
    write_run(here / "runs" / "old", here / "mine.yaml")
    found = json.loads(lrmctl("run", "show", "old", "--json").out)["data"]["shares"]
    assert [one["kind"] for one in found] == ["all", "reasoning", "benign"]
    assert sum(found[0]["shares"].values()) == pytest.approx(1.0)
    assert "share of the reward's variance" in lrmctl("run", "show", "old").out


def test_a_dry_run_counts_the_prompts_that_nothing_rewards(lrmctl: Callable, here: Path) -> None:
    (here / "mine.yaml").write_text(RECIPE.replace("name: short,", "name: short, when: harmful,"))
    checked = lrmctl("recipe", "validate", "mine.yaml")
    assert (checked.code, "no component covers benign prompts" in checked.out + checked.err) == (0, True)
    plan = json.loads(lrmctl("train", "mine.yaml", "--dry-run", "--json").out)["data"]
    notes = [note for note in plan["notes"] if "no component covers" in note]
    assert len(notes) == 1
    assert notes[0].endswith(" benign prompts always get a reward of 0: no component covers them")
