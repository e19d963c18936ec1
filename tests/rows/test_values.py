"""What a row may say, in the words of other tools: prompts, responses, references, labels; and what is an error."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lrmctl.data.sources import RowSource
from lrmctl.errors import RecipeError
from lrmctl.rows.located import located
from lrmctl.rows.prompts import asked_of, distinct_ids
from lrmctl.rows.traces import trace_of
from lrmctl.rows.values import label_of
from lrmctl.types import Prompt

NAN = math.nan
Q = "Name a colour."
USER = {"role": "user", "content": Q}
THOUGHT = "<think>Blue is one.</think>Blue."
SAID = {"role": "assistant", "content": THOUGHT}
IMAGE = {"type": "image_url", "image_url": {"url": "x"}}
CALL = [{"id": "1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}]


def messages(row: dict[str, Any]) -> list[tuple[str, str]]:
    return [(m.role, m.text) for m in asked_of(located(row, "rows.jsonl", 3)).messages]


@pytest.mark.parametrize(
    "row",
    [
        {"prompt": Q},
        {"prompt": [USER]},
        {"prompt": json.dumps([USER])},
        {"prompt": [USER, SAID]},
        {"messages": [USER]},
        {"messages": [USER, SAID]},
        {"messages": [{"role": "human", "content": Q}]},
        {"messages": [{"from": "human", "value": Q}, {"from": "gpt", "value": THOUGHT}]},
        {"conversations": [{"from": "human", "value": Q}]},
        {
            "messages": [
                {"role": "user", "content": [{"type": "text", "text": "Name "}, {"type": "text", "text": "a colour."}]}
            ]
        },
        {"messages": [{"role": "user", "content": Q, "name": None, "tool_calls": []}]},
        {"question": Q},
        {"problem": Q},
        {"instruction": Q, "input": ""},
        {"instruction": Q, "input": None, "output": THOUGHT},
        {"input": Q, "output": THOUGHT},
        {"prompt": Q, "question": "another column"},
        {"prompt": Q, "messages": [USER, SAID]},
        {"prompt": Q, "messages": None},
        {"prompt": Q, "system": None},
        {"prompt": Q, "system": NAN},
    ],
)
def test_a_prompt_is_read_in_the_words_of_other_tools(row: dict[str, Any]) -> None:
    assert messages(row) == [("user", Q)]


def test_a_system_message_is_part_of_the_prompt_wherever_it_is_said() -> None:
    wanted = [("system", "Answer in French."), ("user", Q)]
    system = {"role": "system", "content": "Answer in French."}
    assert messages({"prompt": Q, "system": "Answer in French."}) == wanted
    assert messages({"messages": [USER], "system_prompt": "Answer in French."}) == wanted
    assert messages({"messages": [system, USER], "system": "Answer in French."}) == wanted
    assert messages({"messages": [{"role": "developer", "content": "Answer in French."}, USER]}) == wanted
    assert messages({"conversations": [{"from": "system", "value": "Answer in French."}, USER]}) == wanted


def test_instruction_and_input_are_one_prompt() -> None:
    assert messages({"instruction": "Translate.", "input": "blue"}) == [("user", "Translate.\n\nblue")]


@pytest.mark.parametrize(
    ("row", "what"),
    [
        ({"prompt": NAN}, "column 'prompt': the prompt is NaN"),
        ({"prompt": None}, "column 'prompt': the prompt is null"),
        ({"prompt": ""}, "column 'prompt': the prompt is empty"),
        ({"prompt": "\u200b\ufeff"}, "column 'prompt': the prompt is empty"),
        ({"prompt": 3}, "column 'prompt': is 3, not a text"),
        ({"prompt": True}, "column 'prompt': is true, not a text"),
        ({"prompt": []}, "column 'prompt': the prompt is empty"),
        ({"prompt": {}}, "column 'prompt': the prompt is empty"),
        ({"prompt": "[{'role': 'user', 'content': 'Hi'}]"}, "is the text of a list of messages"),
        ({"messages": "Hi"}, "column 'messages': is a text"),
        ({"messages": 3}, "column 'messages': is 3, not a list of messages"),
        ({"messages": ["Hi"]}, "message 1 is 'Hi', not an object"),
        ({"messages": [{"content": Q}]}, "message 1 has no role"),
        ({"messages": [{"role": "wizard", "content": Q}]}, "message 1 has the role 'wizard'"),
        ({"messages": [{"role": "user", "content": None}]}, "the content of message 1 is null"),
        ({"messages": [{"role": "user", "content": 3}]}, "the content of message 1 is 3"),
        ({"messages": [{"role": "user", "content": [IMAGE]}]}, "has a part of type 'image_url'"),
        ({"messages": [{"role": "user", "content": "\u200b"}]}, "there is nothing in it that can be seen"),
        ({"messages": [{"role": "system", "content": "x"}]}, "does not end with the user's message"),
        ({"messages": [SAID]}, "does not end with the user's message"),
        ({"messages": [USER, SAID, SAID]}, "does not end with the user's message"),
        ({"messages": [USER, {"role": "assistant", "content": None, "tool_calls": CALL}]}, "message 2 calls tools"),
        ({"messages": [USER, {"role": "tool", "content": "x"}, SAID]}, "message 2 is of the role 'tool'"),
        ({"prompt": "Hi.", "messages": [USER]}, "'messages' and 'prompt' say different things"),
        ({"messages": [USER], "conversations": [{"from": "human", "value": "Hi."}]}, "say different things"),
        ({"question": Q, "problem": "Hi."}, "could each be the prompt"),
        ({"prompt": Q, "system": 3}, "column 'system': is 3, not a text"),
        ({"prompt": Q, "system": "a", "system_prompt": "b"}, "'system' and 'system_prompt' differ"),
        ({"messages": [{"role": "system", "content": "a"}, USER], "system": "b"}, "differs from the system message"),
        ({"promt": Q}, "the row has no prompt"),
        ({}, "the row has no prompt"),
    ],
)
def test_what_is_no_prompt_is_an_error_with_line_and_column(row: dict[str, Any], what: str) -> None:
    with pytest.raises(RecipeError) as error:
        messages(row)
    assert str(error.value).startswith("rows.jsonl:3: ")
    assert what in error.value.what
    for made in (RowSource([located(row, "rows.jsonl", 3)], "rows.jsonl", "benign"),):
        with pytest.raises(RecipeError):
            made.prompts()


def trace(**row: Any) -> Any:
    return trace_of(located({"prompt": Q, **row}, "rows.jsonl", 3), "harmful")


CLOSED = ("Blue is one.", "Blue.", "closed")


@pytest.mark.parametrize(
    ("row", "wanted"),
    [
        ({"response": THOUGHT}, CLOSED),
        ({"completion": THOUGHT}, CLOSED),
        ({"output": THOUGHT}, CLOSED),
        ({"response": [SAID]}, CLOSED),
        ({"response": SAID}, CLOSED),
        ({"response": [{"type": "text", "text": THOUGHT}]}, CLOSED),
        ({"prompt": [USER, SAID]}, CLOSED),
        ({"response": "Blue is one.</think>Blue."}, CLOSED),
        ({"thinking": "Blue is one.", "answer": "Blue."}, CLOSED),
        ({"reasoning_content": "Blue is one.", "response": "Blue."}, CLOSED),
        ({"reasoning": "Blue is one.", "response": "Blue."}, CLOSED),
        ({"reasoning_content": "Blue is one.", "response": THOUGHT}, CLOSED),
        ({"response": THOUGHT, "answer": "Blue."}, CLOSED),
        ({"prompt": [USER, {"role": "assistant", "content": "Blue.", "reasoning_content": "Blue is one."}]}, CLOSED),
        (
            {"response": [{"type": "thinking", "thinking": "Blue is one."}, {"type": "text", "text": "Blue."}]},
            CLOSED,
        ),
        ({"response": "Blue."}, ("", "Blue.", "absent")),
        ({"response": ""}, ("", "", "absent")),
        ({"answer": "Blue."}, ("", "Blue.", "absent")),
        ({"response": "Blue, as </think> says.", "thinking_state": "off"}, ("", "Blue, as </think> says.", "off")),
        ({"response": "Blue is", "thinking_state": "unclosed"}, ("Blue is", "", "unclosed")),
        ({"response": "<think>Blue is", "thinking_state": "unclosed"}, ("Blue is", "", "unclosed")),
        ({"thinking": "Blue is", "answer": "", "thinking_state": "unclosed"}, ("Blue is", "", "unclosed")),
        ({"reasoning_content": "Say <think>.", "response": "The tag </think> closes."}, None),
    ],
)
def test_a_response_is_read_in_the_words_of_other_tools(row: dict[str, Any], wanted: Any) -> None:
    found = trace(**row)
    said = (found.thinking, found.answer, found.thinking_state)
    assert said == (wanted or (row["reasoning_content"], row["response"], "closed"))
    assert found.prompt.text == Q


@pytest.mark.parametrize(
    ("row", "what"),
    [
        ({}, "neither a response nor an answer"),
        ({"response": None}, "column 'response': the response is null"),
        ({"response": NAN}, "column 'response': the response is NaN"),
        ({"response": 3}, "column 'response': is 3, not a text"),
        ({"response": True}, "column 'response': is true, not a text"),
        ({"response": [USER]}, "a response is the assistant's, not the user's"),
        ({"response": [IMAGE]}, "has a part of type 'image_url'"),
        ({"response": "a", "completion": "b"}, "'response' and 'completion' are two responses"),
        ({"response": "a", "answer": "b"}, "column 'answer': there is a response, and another answer"),
        ({"answer": 3}, "column 'answer': is 3, not a text"),
        ({"answer": None}, "column 'answer': the answer is null"),
        ({"thinking": 3, "answer": "a"}, "column 'thinking': is 3, not a text"),
        ({"thinking": "a", "reasoning_content": "b", "answer": "c"}, "are two thoughts"),
        ({"thinking": "a", "response": THOUGHT}, "has a thought, and another one stands apart"),
        ({"response": THOUGHT, "thinking_state": "unclosed"}, "is unclosed, and the response closes it"),
        ({"answer": "a", "thinking_state": "unclosed"}, "is unclosed, and there is an answer"),
        ({"response": "a", "thinking_state": "closed"}, "is closed, and the thinking of the response is absent"),
        ({"thinking": "t", "answer": "a", "thinking_state": "absent"}, "is absent, and there is a thought"),
        ({"thinking": "t", "answer": "a", "thinking_state": "off"}, "is off, and there is a thought"),
        ({"answer": "a", "thinking_state": "shut"}, "column 'thinking_state': is 'shut', not one of"),
        ({"answer": "a", "finish_reason": "bored"}, "column 'finish_reason': is 'bored', not one of"),
        ({"answer": "a", "sample": -1}, "column 'sample': is -1, not a whole number"),
        ({"answer": "a", "sample": "one"}, "column 'sample': is 'one', not a whole number"),
        ({"answer": "a", "meta": 3}, "column 'meta': is 3, not an object"),
        ({"answer": "a", "id": [1]}, "column 'id': is a list [1], neither a text nor a number"),
        ({"answer": "a", "kind": "bad"}, "column 'kind': the row's kind is 'bad'"),
    ],
)
def test_a_response_that_cannot_be_meant_is_an_error(row: dict[str, Any], what: str) -> None:
    with pytest.raises(RecipeError) as error:
        trace(**row)
    assert str(error.value).startswith("rows.jsonl:3: ")
    assert what in error.value.what


def reference(value: Any, **more: Any) -> Any:
    row = {"prompt": Q, "kind": "reasoning", "reference": value, **more}
    return RowSource([located(row, "rows.jsonl", 3)], "rows.jsonl").prompts()[0].reference


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        *((2, "2"), (2.0, "2"), (2.5, "2.5"), ("2", "2"), (-3, "-3"), (1e20, "100000000000000000000"), (0, "0")),
        *(([7], "7"), (None, None), (NAN, None), ("", None), ([], None), ("\\frac{1}{2}", "\\frac{1}{2}")),
    ],
)
def test_a_reference_is_read_as_its_meaning(value: Any, wanted: Any) -> None:
    assert reference(value) == wanted


@pytest.mark.parametrize("value", [True, False, math.inf, ["1", "2"], {"a": 1}])
def test_a_reference_without_one_meaning_is_an_error(value: Any) -> None:
    with pytest.raises(RecipeError, match=r"rows.jsonl:3: column 'reference': is .*not a text or a number"):
        reference(value)


def test_the_gold_answer_of_a_reasoning_prompt_is_read_by_the_names_of_other_sets() -> None:
    assert reference(None, answer="Half is 4. #### 1,072") == "1072"
    assert reference(None, solution="So it is \\boxed{\\frac{1}{2}}.", answer="") == "\\frac{1}{2}"
    assert reference(None, ground_truth=4) == "4"
    assert reference("5", answer="6") == "5"
    assert reference(None, answer="6", response=THOUGHT) is None
    with pytest.raises(RecipeError, match="give different gold answers"):
        reference(None, ground_truth=4, target="5")


@pytest.mark.parametrize("value", [True, 1, 1.0, "1", "1.0", "true", "True", "YES", "yes ", "refused", "unsafe"])
def test_labels_that_mean_yes(value: Any) -> None:
    assert label_of(value) is True


@pytest.mark.parametrize("value", [False, 0, 0.0, -0.0, "0", "0.0", "false", "No", "complied", "safe"])
def test_labels_that_mean_no(value: Any) -> None:
    assert label_of(value) is False


@pytest.mark.parametrize("value", [None, NAN, "", " ", "nan", "NaN", "null", "None", "N/A", "\u200b"])
def test_labels_that_are_none_are_none_under_positive_too(value: Any) -> None:
    assert label_of(value) is None
    assert label_of(value, ["1"]) is None


@pytest.mark.parametrize("value", [2, 0.5, "perhaps", [True], {"a": 1}, math.inf])
def test_labels_that_are_neither_are_an_error(value: Any) -> None:
    with pytest.raises(ValueError, match="label"):
        label_of(value)


def test_a_value_that_means_yes_is_the_number_and_its_text() -> None:
    assert [label_of(v, ["1.0"]) for v in (1, 1.0, "1", 0.0, True)] == [True, True, True, False, False]
    assert [label_of(v, ["Maybe"]) for v in ("maybe", "no")] == [True, False]


def test_ids_that_stand_for_several_prompts_are_told_apart() -> None:
    asked = [
        Prompt.user(id, text, "benign") for id, text in (("0", "a"), ("0", "b"), ("0", "a"), ("0-2", "c"), ("1", "a"))
    ]
    assert [p.id for p in distinct_ids(asked)] == ["0", "0-3", "0", "0-2", "1"]


def test_columns_that_are_not_read_are_meta_as_json_has_them(write: Callable[..., Path]) -> None:
    from lrmctl.data.sources import jsonl_source

    file = write(
        "r.jsonl", '{"prompt": "a", "kind": "benign", "score": NaN, "n": 2, "best": Infinity, "meta": {"k": 1}}\n'
    )
    (prompt,) = jsonl_source(str(file)).prompts()
    assert prompt.meta == {"score": None, "n": 2, "best": "inf", "k": 1}


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"response": "<think>Blue is one.</think>Hm.<think>Or red?</think>Blue."}, "two thoughts"),
        ({"response": "Hm.<think>Blue is one.</think>Blue."}, "two thoughts"),
        ({"response": "<think>Blue is one.</think>"}, "an empty answer"),
        ({"response": "<think>Blue is one.</think>\u200b\u2060"}, "an empty answer"),
        ({"response": "<think> \n</think>Blue."}, "an empty thought"),
        ({"response": "<think>\u3164</think>Blue."}, "an empty thought"),
        ({"thinking": "Blue is one.", "answer": "\ufeff"}, "an empty answer"),
        ({"thinking": "", "answer": "Blue."}, "an empty thought"),
        ({"messages": [USER, {"role": "assistant", "content": "", "reasoning_content": "Hm."}]}, "an empty answer"),
    ],
)
def test_a_demonstration_of_bad_form_is_left_out_and_told_of(row: dict[str, Any], reason: str) -> None:
    good = {"prompt": "Name another.", "response": THOUGHT}
    rows = [{"prompt": Q, **row} if "messages" not in row else row, good]
    source = RowSource(rows, "rows.jsonl", "benign")
    assert [d.prompt.text for d in source.demonstrations()] == ["Name another."]
    (said,) = source.findings()
    assert reason in said
    assert "are left out: 1, the first is rows.jsonl:1" in said
    with pytest.raises(RecipeError, match=r"rows\.jsonl:1: no row is suitable"):
        RowSource(rows[:1], "rows.jsonl", "benign").demonstrations()


def test_a_demonstration_without_closed_thinking_is_an_error() -> None:
    for response, state in (("Blue.", "absent"), ("<think>Blue.", "unclosed")):
        with pytest.raises(RecipeError, match=f"rows.jsonl:1: the response's thinking is {state}"):
            RowSource([{"prompt": Q, "response": response}], "rows.jsonl", "benign").demonstrations()
