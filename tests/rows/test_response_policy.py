"""Which kinds of answer are right: read from rows and sources, and nothing else passes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lrmctl.data.sources import jsonl_source
from lrmctl.errors import RecipeError
from lrmctl.rows.policy import policy_of, response_kinds
from lrmctl.rows.traces import read_traces
from lrmctl.types import RESPONSE_KINDS, Prompt


def written(tmp_path: Path, *rows: dict) -> Path:
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(json.dumps({"prompt": "q", "kind": "harmful", **row}) + "\n" for row in rows))
    return file


@pytest.mark.parametrize(
    "given", [["refuse", "help-line"], "refuse, help-line", "refuse,help-line", ["refuse"] * 2 + ["help-line"]]
)
def test_a_policy_is_a_list_or_a_text_with_commas(given):
    assert response_kinds(given) == ("refuse", "help-line")
    assert response_kinds(list(RESPONSE_KINDS)) == RESPONSE_KINDS


@pytest.mark.parametrize(
    "given", ["", [], "refuse,", 3, {"refuse": 1}, ["refuse", 3], ["refuses"], "hard refuse", [""]]
)
def test_anything_else_is_refused(given):
    with pytest.raises(ValueError, match=r"^(is|names) "):
        response_kinds(given)


def test_a_row_or_its_meta_states_it_and_a_source_speaks_for_the_others(tmp_path):
    file = written(
        tmp_path,
        {"response_policy": "help-line", "topic": "x"},
        {"meta": {"response_policy": ["refuse", "refuse-and-explain"]}},
        {},
        {"response_policy": None},
    )
    prompts = jsonl_source(str(file), response_policy=["comply"]).prompts()
    assert [policy_of(prompt) for prompt in prompts] == [
        ("help-line",), ("refuse", "refuse-and-explain"), ("comply",), ("comply",)
    ]  # fmt: skip
    assert prompts[0].meta == {"topic": "x", "response_policy": ["help-line"]}
    assert [policy_of(prompt) for prompt in jsonl_source(str(file)).prompts()[2:]] == [None, None]
    assert policy_of(Prompt.from_json(json.loads(json.dumps(prompts[1].to_json())))) == ("refuse", "refuse-and-explain")


def test_judged_rows_keep_it(tmp_path):
    (row,) = read_traces(written(tmp_path, {"response": "No.", "response_policy": ["refuse"]}), kind="harmful")
    assert row.trace.prompt.meta == {"response_policy": ["refuse"]}


@pytest.mark.parametrize(
    ("row", "what"),
    [
        ({"response_policy": ["refuses"]}, r"column 'response_policy': names 'refuses'.*did you mean 'refuse'"),
        ({"response_policy": 3}, "column 'response_policy': is 3, not a list"),
        ({"meta": {"response_policy": []}}, "column 'meta': is a list .*no answer would be right"),
    ],
)
def test_a_word_that_is_no_kind_is_one_error_with_its_line(tmp_path, row, what):
    file = written(tmp_path, {}, row)
    with pytest.raises(RecipeError, match=what) as raised:
        jsonl_source(str(file)).prompts()
    assert raised.value.where == f"{file}:2"
    with pytest.raises(RecipeError, match="`response_policy` names 'complies'"):
        jsonl_source(str(file), response_policy="complies")
