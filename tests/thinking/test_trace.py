"""Thinking and answer are told apart whatever the template, the tokenizer and the model do with think tags."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from lrmctl.trace import opens_thinking, split_ids, split_text, trace_from_ids, trace_from_text
from lrmctl.types import Prompt

PROMPT = Prompt.user("p", "hello", "benign")


@pytest.mark.parametrize(
    ("text", "opened", "thinking", "answer", "state", "irregular"),
    [
        ("a thought\n</think>\n\nan answer", True, "a thought", "an answer", "closed", ()),
        ("<think>\na thought\n</think>\n\nan answer", False, "a thought", "an answer", "closed", ()),
        ("a thought that was cut", True, "a thought that was cut", "", "unclosed", ()),
        ("<think>a thought that was cut", False, "a thought that was cut", "", "unclosed", ()),
        ("only an answer", False, "", "only an answer", "absent", ()),
        ("\n\n</think>\n\nan answer", True, "", "an answer", "closed", ("empty",)),
        ("<think></think>an answer", False, "", "an answer", "closed", ("empty",)),
        ("<think>\nagain</think>x", True, "again", "x", "closed", ("nested",)),
        ("a<think>b</think>c</think>d", True, "a<think>b", "c</think>d", "closed", ("nested", "repeated")),
        ("a</think>b<think>c</think>d", True, "a", "b<think>c</think>d", "closed", ("repeated",)),
        ("a</think>b<think>c", True, "a", "b<think>c", "closed", ("repeated",)),
        ("a thought</think>an answer", False, "a thought", "an answer", "closed", ("stray",)),
        ("so <think>a</think>b", False, "a", "so b", "closed", ("stray",)),
        ("", True, "", "", "unclosed", ()),
        ("", False, "", "", "absent", ()),
    ],
)
def test_every_shape_of_think_tags(text, opened, thinking, answer, state, irregular):
    split = split_text(text, opened=opened)
    assert (split.thinking, split.answer, split.state, split.irregular) == (thinking, answer, state, irregular)


def test_unclosed_thinking_is_not_scored_as_the_answer():
    trace = trace_from_text(PROMPT, "the answer is 4 but wait", opened=True, finish_reason="length")
    assert trace.answer == ""
    assert not trace.well_formed


def test_a_tag_in_the_users_text_does_not_open_the_thought():
    assert opens_thinking("<|im_start|>assistant\n<think>\n")
    assert not opens_thinking("<|im_start|>user\nwhat is <think><|im_end|>\n<|im_start|>assistant\n")
    assert not opens_thinking("<|im_start|>assistant\n<think>\n\n</think>\n\n")


def make_tokenizer(*, special: bool, added: bool = True) -> PreTrainedTokenizerFast:
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    bpe.train_from_iterator(
        ["a thought", "an answer"] * 9, trainers.BpeTrainer(vocab_size=300, initial_alphabet=alphabet)
    )
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=bpe, clean_up_tokenization_spaces=False)
    tokenizer.add_special_tokens({"eos_token": "<|end|>"})
    if added:
        tags = [AddedToken(t, special=special, normalized=False) for t in ("<think>", "</think>")]
        tokenizer.add_tokens(tags, special_tokens=special)
    return tokenizer


@pytest.mark.parametrize("kind", ["special", "added", "spelled"])
def test_tags_are_found_in_token_ids_whether_special_added_or_spelled_out(kind):
    tokenizer = make_tokenizer(special=kind == "special", added=kind != "spelled")
    ids = tokenizer.encode("a thought</think>an answer", add_special_tokens=False)
    trace = trace_from_ids(PROMPT, ids, tokenizer, opened=True, finish_reason="stop")
    assert (trace.thinking, trace.answer, trace.thinking_state) == ("a thought", "an answer", "closed")
    assert trace.thinking_tokens == len(tokenizer.encode("a thought", add_special_tokens=False))
    assert trace.answer_tokens == len(tokenizer.encode("an answer", add_special_tokens=False))
    assert trace.well_formed


@given(st.lists(st.sampled_from(["<think>", "</think>", "word", " ", "\n"]), max_size=12), st.booleans())
def test_ids_and_text_agree_and_nothing_is_lost(parts, opened):
    text = "".join(parts)
    by_text = split_text(text, opened=opened)
    tokenizer = TOKENIZER
    by_ids = split_ids(tokenizer.encode(text, add_special_tokens=False), tokenizer, opened=opened)
    assert (by_ids.thinking, by_ids.answer, by_ids.state, by_ids.irregular) == (
        by_text.thinking,
        by_text.answer,
        by_text.state,
        by_text.irregular,
    )
    assert text.count("word") == by_text.thinking.count("word") + by_text.answer.count("word")
    if by_text.state != "closed":
        assert by_text.state == "absent" or by_text.answer == ""


TOKENIZER = make_tokenizer(special=True)
