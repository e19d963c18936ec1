"""What goes to the trainer with a prompt comes back as the same prompt and as a trace of what the model wrote."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lrmctl.errors import RewardError
from lrmctl.rewards.service.protocol import decode_call, decode_label, encode_label, read_call
from lrmctl.types import Prompt

END = "<|im_end|>"
RENDERED = "<|im_start|>user\nWhat is 2 + 2?<|im_end|>\n<|im_start|>assistant\n<think>\n"
PROMPT = Prompt.user("p/1", "What is 2 + 2?", "reasoning", reference="4", meta={"level": 1})


def decode(response: str, opened: bool = True, ends: tuple[str, ...] = (END,)):
    return decode_call(RENDERED + response, RENDERED, encode_label(PROMPT, opened=opened), ends)


@given(
    text=st.text(),
    id=st.text(min_size=1),
    kind=st.sampled_from(["harmful", "benign", "reasoning"]),
    reference=st.none() | st.text(),
    meta=st.dictionaries(st.text(), st.none() | st.booleans() | st.integers() | st.text() | st.lists(st.text())),
    opened=st.booleans(),
)
def test_a_label_brings_back_the_prompt_whatever_its_text(text, id, kind, reference, meta, opened):
    prompt = Prompt.user(id, text, kind, source="s", reference=reference, meta=meta)
    label = encode_label(prompt, opened=opened)
    assert decode_label(label) == (prompt, opened)
    assert label.isascii()
    assert len(label.splitlines()) == 1


def test_a_conversation_of_several_messages_survives():
    messages = (
        {"role": "system", "content": "Be brief.\u2028"},
        {"role": "user", "content": "\u00fc\u4e2d\U0001f680 \"'\\"},
    )
    prompt = Prompt("c", messages, "benign")
    assert decode_label(encode_label(prompt, opened=False))[0] == prompt


def test_a_finished_response_is_split_at_the_closing_tag():
    trace = decode(f"2 + 2 is 4.\n</think>\n\n\\boxed{{4}}{END}")
    assert (trace.thinking, trace.answer) == ("2 + 2 is 4.", "\\boxed{4}")
    assert (trace.thinking_state, trace.finish_reason) == ("closed", "stop")
    assert trace.prompt == PROMPT


def test_unclosed_thinking_has_no_answer_and_counts_as_cut():
    trace = decode("so the answer is \\boxed{4}, or is it")
    assert (trace.answer, trace.thinking_state, trace.finish_reason) == ("", "unclosed", "length")


def test_unclosed_thinking_that_the_model_ended_itself_has_no_answer_either():
    trace = decode(f"\\boxed{{4}}{END}")
    assert (trace.answer, trace.thinking_state, trace.finish_reason) == ("", "unclosed", "stop")


def test_an_answer_without_an_end_token_is_cut():
    assert decode("4.\n</think>\n\nThe answer").finish_reason == "length"


def test_any_of_several_end_tokens_ends_a_response_and_is_no_part_of_it():
    trace = decode("4.\n</think>\n\nfour<|endoftext|>", ends=(END, "<|endoftext|>"))
    assert (trace.answer, trace.finish_reason) == ("four", "stop")


def test_a_template_that_does_not_open_the_thought_leaves_that_to_the_model():
    trace = decode(f"<think>\nhm\n</think>\n\nfour{END}", opened=False)
    assert (trace.thinking, trace.answer, trace.irregular) == ("hm", "four", ())
    assert decode(f"four{END}", opened=False).thinking_state == "absent"


def test_an_empty_response_is_unclosed_thinking():
    trace = decode("")
    assert (trace.thinking, trace.answer, trace.thinking_state) == ("", "", "unclosed")


def test_a_prompt_that_was_cut_from_the_left_is_an_error_that_names_it():
    with pytest.raises(RewardError, match="'p/1' did not come back") as caught:
        decode_call(RENDERED[10:] + "x", RENDERED, encode_label(PROMPT, opened=True), [END])
    assert "max_len" in caught.value.fix


@pytest.mark.parametrize("label", ["", "4", "[]", "null", "{}", '{"lrmctl": 99, "opened": true, "prompt": {}}', "{"])
def test_a_foreign_label_is_an_error(label):
    with pytest.raises(RewardError, match="label"):
        decode_label(label)


@pytest.mark.parametrize(
    "posted",
    [
        {},
        [],
        None,
        {"query": "q", "prompts": "p", "labels": "l"},
        {"query": ["q", "q"], "prompts": ["p", "p"], "labels": ["l", "l"]},
        {"query": [1], "prompts": ["p"], "labels": ["l"]},
        {"query": ["q"], "prompts": ["p"], "labels": [None]},
    ],
)
def test_a_call_that_is_not_one_rollout_is_an_error(posted):
    with pytest.raises(RewardError, match="not in OpenRLHF's form"):
        read_call(json.dumps(posted).encode())
