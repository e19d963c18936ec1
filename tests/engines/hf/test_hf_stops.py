"""Where a completion is cut by its text: stops in the answer only, the tag that closes the thinking, forced words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lrmctl.engines.base import Completion, GenerationRequest, Sampling
from lrmctl.engines.hf.engine import HfEngine
from lrmctl.engines.stopping import StopWatcher, cut
from lrmctl.types import Prompt

LONG = Sampling(1.0, max_new_tokens=60)
PROMPT = Prompt.user("p", "hi", "benign")
CLOSE = "</think>"


def drawn(engine: HfEngine, requests: Sequence[GenerationRequest]) -> list[Completion]:
    found = {i: c for batch in engine.generate(requests) for i, c in batch}
    return [found[i] for i in range(len(requests))]


def asked(text: str, sampling: Sampling = LONG, count: int = 60) -> list[GenerationRequest]:
    return [GenerationRequest(text, sampling, i) for i in range(count)]


@pytest.fixture(scope="module", params=[False, True], ids=["plain tags", "special tags"])
def engine(request: pytest.FixtureRequest, checkpoint_of: Callable[..., Path]) -> HfEngine:
    return HfEngine(checkpoint_of(special_tags=request.param), batch_size=16)


def test_the_answer_ends_before_the_first_stop(engine: HfEngine) -> None:
    requests = asked("assistant: ")
    free = drawn(engine, requests)
    stops = {i: said for i, c in enumerate(free) if "<" not in c.text and (said := new_letter(c.text))}
    stopped = drawn(
        engine, [replace(requests[i], sampling=replace(LONG, stop=("never said", stops[i]))) for i in stops]
    )
    assert len(stops) > 15
    for i, one in zip(stops, stopped, strict=True):
        assert one.text == free[i].text[: free[i].text.index(stops[i])]
        assert one.finish_reason == "stop"
        assert engine.tokenizer.decode(one.ids) == one.text
        assert one.ids == free[i].ids[: len(one.ids)]
        assert one.count == len(one.ids) + 1  # the model did generate the stop


def new_letter(text: str) -> str:
    """A letter in the middle of the text that it did not have before."""
    return next((c for i, c in enumerate(text) if i > 5 and c.isascii() and c.isalpha() and c not in text[:i]), "")


@pytest.mark.e2e
def test_stops_do_not_count_while_thinking(engine: HfEngine) -> None:
    for text in ("assistant: <think>\n", "assistant: <think>\nso"):
        forced = text.removeprefix("assistant: <think>\n")
        requests = [replace(r, forced=forced) for r in asked(text)]
        free = drawn(engine, requests)
        every = tuple(chr(i) for i in range(33, 127))
        stopped = drawn(engine, [replace(r, sampling=replace(LONG, stop=every)) for r in requests])
        closed = [i for i, c in enumerate(free) if CLOSE in c.text]
        assert 3 < len(closed) < 50
        for i, (one, other) in enumerate(zip(free, stopped, strict=True)):
            if i not in closed:
                assert one == other
                continue
            assert other.text.startswith(one.text[: one.text.index(CLOSE) + len(CLOSE)])
            answer = other.text.split(CLOSE, 1)[1].split("<think>")[0]
            assert not set(answer) & set(every)


@pytest.mark.e2e
def test_end_thinking_ends_right_after_the_tag(engine: HfEngine) -> None:
    requests = asked("assistant: <think>\n")
    free = drawn(engine, requests)
    ended = drawn(engine, [replace(r, sampling=replace(LONG, end_thinking=True)) for r in requests])
    closed = 0
    for one, other in zip(free, ended, strict=True):
        if CLOSE not in one.text:
            assert one == other
            continue
        closed += 1
        assert other.text == one.text[: one.text.index(CLOSE) + len(CLOSE)]
        assert other.ids == one.ids[: len(other.ids)]
        assert other.finish_reason == "stop"
        assert other.count >= len(other.ids)  # a tag behind a quotation mark waits for one more character
    assert closed > 3


def test_rows_without_stops_are_not_watched(engine: HfEngine) -> None:
    assert StopWatcher.of(GenerationRequest("x", LONG), engine.tokenizer) is None
    assert StopWatcher.of(GenerationRequest("x", replace(LONG, stop=("",))), engine.tokenizer) is None


@pytest.fixture(scope="module")
def bytes_only() -> Any:
    """A tokenizer that spells tags in several tokens."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    merged = [*letters, "e>", "k>", "k>Ċ"]
    core = Tokenizer(models.BPE(vocab={v: i for i, v in enumerate(merged)}, merges=[("k", ">"), ("k>", "Ċ")]))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    core.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=core, eos_token="<|end|>")


def watched(tokenizer: Any, request: GenerationRequest, said: str) -> tuple[str, int]:
    """The text that is left of what the model says, and how many tokens it was let say."""
    watch = StopWatcher.of(request, tokenizer)
    assert watch is not None
    ids: list[int] = []
    for token in tokenizer.encode(said, add_special_tokens=False):
        ids.append(token)
        if watch.ends_with(token):
            assert watch.cut_before_end is not None
            left, text = cut(ids, watch.cut_before_end, tokenizer)
            assert tokenizer.decode(left) == text
            return text, len(ids)
    return tokenizer.decode(ids), len(ids)


ENDING = Sampling(end_thinking=True)
STOPPING = Sampling(stop=("\n\n", "Q:"))


@pytest.mark.parametrize(
    ("prompt", "forced", "how", "said", "left"),
    [
        ("p<think>", "", ENDING, "a</think>\nb", "a</think>"),  # the tag's last token is "k>\n": encoded anew
        ("p<think>", "", ENDING, "a</think", "a</think"),
        ("p", "", ENDING, "<think>a</think>b", "<think>a</think>"),
        ("p", "", ENDING, "a</think>b", "a</think>"),  # a tag that nothing opened closes the thinking all the same
        ("p", "", ENDING, "an answer", "an answer"),
        ("p<think>", "", STOPPING, "a\n\nQ:</think>b\n\nc", "a\n\nQ:</think>b"),
        ("p<think>", "", STOPPING, "a\n\n", "a\n\n"),
        ("p", "", STOPPING, "<think>\n\nQ:</think>éü Q: c", "<think>\n\nQ:</think>éü "),
        ("p", "", STOPPING, "b\n\nc", "b"),
        ("p<think>", "so</think>", STOPPING, "b\n\nc", "b"),
        ("p<think>", "so", STOPPING, "\n\n</think>Q:", "\n\n</think>"),
        ("p", "<think>so", STOPPING, "\n\n</think>bQ:", "\n\n</think>b"),
        ("p", "I <think>a</think> say", STOPPING, "xQ:", "x"),
        ("p", "", STOPPING, "Q:", ""),
        ("p", "", Sampling(stop=("abcd", "c")), "xabcd", "xab"),  # the one that is complete first
        ("p", "", Sampling(stop=("é!",)), "aé!b", "a"),
        ("p", "", Sampling(stop=("x",), end_thinking=True), "<think>x</think>x", "<think>x</think>"),
    ],
)
def test_texts_are_cut_where_they_should(
    bytes_only: Any, prompt: str, forced: str, how: Sampling, said: str, left: str
) -> None:
    text, count = watched(bytes_only, GenerationRequest(prompt + forced, how, forced=forced), said)
    assert text == left
    assert count <= len(bytes_only.encode(left, add_special_tokens=False)) + 5  # not let on for longer


def traced(engine: HfEngine, forced: str, said: str, **more: Any) -> Any:
    ids = tuple(engine.tokenizer(said, add_special_tokens=False)["input_ids"])
    request = GenerationRequest("assistant: <think>\n" + forced, LONG, 2, forced=forced)
    return engine.trace(PROMPT, request, Completion(ids, said, "stop", **more))


def test_what_was_forced_is_said_but_not_counted(engine: HfEngine) -> None:
    trace = traced(engine, "first of all,", " so be it</think>yes")
    assert (trace.thinking, trace.answer) == ("first of all, so be it", "yes")
    assert (trace.thinking_tokens, trace.answer_tokens, trace.sample) == (len(" so be it"), 3, 2)
    trace = traced(engine, "all said</think>I", " agree")
    assert (trace.thinking, trace.answer, trace.thinking_state) == ("all said", "I agree", "closed")
    assert (trace.thinking_tokens, trace.answer_tokens) == (0, len(" agree"))
    trace = traced(engine, "", "never closed")
    assert (trace.thinking_state, trace.thinking_tokens, trace.answer) == ("unclosed", len("never closed"), "")


def test_what_a_mode_put_in_is_not_counted(engine: HfEngine) -> None:
    assert traced(engine, "", "so, wait, be it</think>yes", inserted=6).thinking_tokens == len("so, be it")
    assert traced(engine, "", "so, wait</think>yes", inserted=6, thinking_tokens=3).thinking_tokens == 3


def test_a_failed_completion_is_a_failed_trace(engine: HfEngine) -> None:
    request = GenerationRequest("assistant: <think>\n", LONG, 4)
    trace = engine.trace(PROMPT, request, Completion((), "", "error", "out of memory"))
    assert (trace.finish_reason, trace.thinking, trace.answer, trace.sample) == ("error", "", "", 4)
    assert trace.error == "out of memory"
