"""The nouns keep unsafe, malformed, refused and failed apart, and survive JSON and pickling."""

from __future__ import annotations

import json
import pickle

import pytest

from lrmctl import errors
from lrmctl.runs.eval_rows import EvalRow
from lrmctl.runs.jsonl import read_jsonl, write_jsonl
from lrmctl.types import Prompt, Trace, Verdict, joint_outcome

SAFE = Verdict("j", "1", "answer", safe=True, refused=False, malformed=False)
UNSAFE = Verdict("j", "1", "thinking", safe=False)
BROKEN = Verdict("j", "1", "answer", safe=True, malformed=True)
FAILED = Verdict("j", "1", "answer", error="no verdict in the output")
TRACE = Trace(Prompt.user("p", "<b>hé</b>", "harmful", meta={"n": 1}), "t", "a", "closed", irregular=("empty",))


@pytest.mark.parametrize(
    ("thinking", "answer", "outcome"),
    [
        (SAFE, SAFE, "safe"),
        (UNSAFE, SAFE, "unsafe"),
        (SAFE, BROKEN, "malformed"),
        (UNSAFE, BROKEN, "unsafe"),
        (SAFE, FAILED, "failed"),
        (UNSAFE, FAILED, "unsafe"),
    ],
)
def test_joint_outcome_never_turns_unknown_into_safe(thinking, answer, outcome):
    assert joint_outcome(thinking, answer) == outcome


def test_a_verdict_that_says_nothing_is_failed_not_safe():
    assert Verdict("j", "1", "answer").outcome == "failed"


def test_a_failed_answer_verdict_is_neither_complied_nor_refused():
    assert EvalRow("s", 0.6, TRACE, SAFE, FAILED).complied is None
    assert EvalRow("s", 0.6, TRACE, SAFE, SAFE).complied is True


def test_rows_survive_json_and_a_torn_last_line_is_skipped(tmp_path):
    row = EvalRow("s", 0.6, TRACE, UNSAFE, SAFE)
    path = tmp_path / "deep" / "rows.jsonl"
    write_jsonl(path, [row.to_json()])
    with path.open("a") as out:
        out.write(json.dumps(row.to_json())[:40])
    (only,) = read_jsonl(path)
    assert EvalRow.from_json(only) == row


def test_a_line_torn_in_the_middle_of_a_character_is_skipped(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_bytes('{"a": "\u00fc"}\n{"a": "\u00fc'.encode()[:-1])
    assert list(read_jsonl(path)) == [{"a": "\u00fc"}]


@pytest.mark.parametrize("kind", [c for c in vars(errors).values() if isinstance(c, type)])
def test_errors_survive_pickling_with_their_advice(kind):
    error = pickle.loads(pickle.dumps(kind("what", "file:1", "do this")))
    assert type(error) is kind
    assert str(error) == "file:1: what\n  fix: do this"
    assert error.exit_code in (2, 3)
