"""Conditions on traces mean the same on the command line and in the page's search, and errors name what there is."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

import pytest
from viewed_runs import make_run

from lrmctl.errors import LrmctlError, NotFoundError
from lrmctl.runs.eval_rows import EvalRow
from lrmctl.types import Prompt, Trace, Verdict
from lrmctl.viewer import script
from lrmctl.viewer.annotations import Annotations
from lrmctl.viewer.matching import MatchingTraces
from lrmctl.viewer.query import FIELDS, parse_query
from lrmctl.viewer.records import NUMBERS, WORDS, Record, of_rollout, of_row


def record(number: int, thinking: str, answer: str, said: str = "fine") -> Record:
    prompt = Prompt.user(f"p{number}", f'How does gate "{number}" open?', "harmful")
    trace = Trace(prompt, f"Wait, hazard-{number}.", said, "closed", "stop", 10 * number, 2, 0)
    judged = [
        None if word == "none" else Verdict("guard", "1", part, safe=word == "safe", refused=number % 2 == 0)
        for part, word in (("thinking", thinking), ("answer", answer))
    ]
    row = EvalRow("gates/x", 0.6, trace, *judged, correct=True if thinking == "none" else None)
    return of_row(row, "a", None, Annotations(Path("nowhere")))


RECORDS = [
    record(0, "unsafe", "safe"),
    record(1, "safe", "safe", "Oil\nthe HINGE"),
    record(2, "unsafe", "unsafe", "a 'quoted' \\ word"),
    record(3, "none", "none", "it is = 7"),
    of_rollout({"prompt": "and", "thinking": "or", "reward": 0.5, "phase": "train", "sample": 1}, "a", 1, 2, None),
]
CASES: Sequence[tuple[str, list[int]]] = (
    ("thinking=unsafe and answer=safe", [0]),
    ("THINKING==Unsafe AND (answer = 'safe' OR answer=unsafe)", [0, 2]),
    ("not thinking=unsafe", [1, 3, 4]),
    ("thinking!=unsafe", [1, 3, 4]),
    ("thinking=none", [3, 4]),
    ("answer=not-judged", []),
    ("outcome=correct or result=scored", [3, 4]),
    ("refused=yes", [0, 2]),
    ("refused=none", [3, 4]),
    ("thinking_tokens>=10 and thinking-tokens<30", [1, 2]),
    ("thinking_tokens<99", [0, 1, 2, 3]),
    ("reward=.5", [4]),
    ("reward!=5e-1", [0, 1, 2, 3]),
    ("step>1.5", [4]),
    ("prompt=p2 or id=p3", [2, 3]),
    ("set~X", [0, 1, 2, 3]),
    ('answer~"the hinge"', [1]),
    ("answer~hinge", [1]),
    ('prompt~"gate \\"2\\""', [2]),
    ("\"a 'quoted'\"", [2]),
    ("text~hazard-1 or 'hazard-3'", [1, 3]),
    ('answer~"= 7"', [3]),
    ("thinking=unsafe or thinking=safe and answer=unsafe", [0, 2]),
    ("not (thinking=unsafe or phase=train) and kind=harmful", [1, 3]),
)
WRONG = (
    ("thinkin=unsafe", "did you mean 'thinking'? fields: thinking, answer"),
    ("thinking=unsaf", "did you mean 'unsafe'? values of thinking: safe, unsafe"),
    ("kind=harm", "harmful, benign, reasoning, none"),
    ("reward>high", "reward is a number, not 'high'"),
    ("kind>2", "numbers: temperature, sample"),
    ("thinking", "needs one of = != < <= > >= ~"),
    ("thinking=", "a value is missing after thinking="),
    ("thinking=safe answer=safe", "'and' or 'or' is missing before 'answer'"),
    ("(thinking=safe", "')' is missing"),
    ("text=gate", "text is looked in with ~"),
    ('answer~"gate', "cannot be read from"),
    ("and", "there is no field 'and'"),
    ("not", "a field is missing before 'the end'"),
)


@pytest.mark.parametrize(("condition", "expected"), CASES)
def test_a_condition_takes_the_traces_that_fulfil_it(condition: str, expected: list[int]) -> None:
    query = parse_query(condition)
    assert [i for i, found in enumerate(RECORDS) if query.matches(found)] == expected


@pytest.mark.parametrize(("condition", "said"), WRONG)
def test_what_is_no_condition_is_an_error_that_names_the_known(condition: str, said: str) -> None:
    with pytest.raises(LrmctlError) as error:
        parse_query(condition)
    assert said in str(error.value)


@pytest.mark.skipif(shutil.which("node") is None, reason="no node on this machine")
def test_the_page_reads_conditions_alike() -> None:
    source = (files("lrmctl.viewer") / "page" / "query.js").read_text(encoding="utf-8")
    fields = next(line for line in script().splitlines() if line.startswith("const QUERY_FIELDS"))
    records = [{"index": dict(found.index), "text": dict(found.text)} for found in RECORDS]
    asked = {"records": records, "cases": [c for c, _ in CASES], "wrong": [c for c, _ in WRONG]}
    run = """
    const {records, cases, wrong} = JSON.parse(require("fs").readFileSync(0, "utf8"));
    const found = cases.map((text) => {
      const {test} = parseQuery(text);
      return records.flatMap(({index, text}, i) => (test((name) => index[name], (key) => text[key]) ? [i] : []));
    });
    const refused = wrong.map((text) => {
      try { parseQuery(text); return "taken"; } catch (error) { return error.constructor.name; }
    });
    console.log(JSON.stringify({found, refused}));
    """
    said = subprocess.run(
        ["node", "-e", f"{fields}\n{source}\n{run}"],
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        check=True,
    )
    answer = json.loads(said.stdout)
    assert dict(zip(asked["cases"], answer["found"], strict=True)) == dict(CASES)
    assert answer["refused"] == ["NoQuery"] * len(WRONG)


def test_every_column_of_a_field_is_in_the_index() -> None:
    assert {field.column for field in FIELDS.values()} - {""} <= {*WORDS, *NUMBERS}


def test_a_set_that_no_trace_has_is_an_error_that_names_those_there_are(tmp_path: Path) -> None:
    run = make_run(tmp_path, "a", prompts=1, tokens=False, segments=False)
    with pytest.raises(NotFoundError, match="did you mean 'gates/harmful'"):
        list(MatchingTraces([run], parse_query("set=gates/harmfull")))
    assert list(MatchingTraces([run], parse_query("set=gates/math and thinking=unsafe"))) == []


def test_lines_that_are_no_rows_are_counted_and_passed_over(tmp_path: Path) -> None:
    run = make_run(tmp_path, "a", prompts=1, tokens=False, segments=False)
    with (run.path / "eval" / "rows.jsonl").open("a") as file:
        file.write('{"set": 1}\n{"half')
    found = MatchingTraces([run], parse_query(""))
    assert len(list(found)) == found.read == 6
    assert found.unreadable == 1
