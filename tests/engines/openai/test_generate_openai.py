"""Completions from real HTTP servers, in good order and in every kind of trouble: each request ends, once."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from generation_server import (
    WARM,
    Generation,
    asked,
    choice,
    drawn_by,
    engine_of,
    generating,
    one,
    prompt_of,
)
from hypothesis import given
from hypothesis import strategies as st

from lrmctl._util.text import is_blank
from lrmctl.engines.base import Completion, GenerationRequest, Rendering, Sampling
from lrmctl.engines.factory import make_engine
from lrmctl.engines.openai.completions import chat_completion, plain_completion
from lrmctl.engines.openai.protocol import UnreadableError, read_answer
from lrmctl.errors import LrmctlError, RecipeError
from lrmctl.recipe.schema.decoding import ZeroThink
from lrmctl.recipe.schema.engines import OpenAiOptions
from lrmctl.thinking import split_apart, split_text


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[Generation, str]]:
    generation = Generation()
    with generating(generation) as url:
        yield generation, url


def test_samples_of_a_prompt_differ_each_by_its_own_seed_and_repeat(served) -> None:  # type: ignore[no-untyped-def]
    generation, url = served
    before = len(generation.seen)
    requests = asked(engine_of(url), ["a", "b", "c"], samples=4)
    first = drawn_by(engine_of(url), requests)
    seeds = [body["seed"] for body in generation.seen[before:]]
    assert len(set(seeds)) == len(seeds) == 12
    assert all(0 <= seed < 1 << 31 for seed in seeds)
    for start in (0, 4, 8):
        assert len({c.text for c in first[start : start + 4]}) == 4
    assert drawn_by(engine_of(url, concurrency=2), requests) == first
    other = drawn_by(engine_of(url), [replace(r, seed=6) for r in requests])
    assert all(a.text != b.text for a, b in zip(first, other, strict=True))


def test_what_is_sent(served) -> None:  # type: ignore[no-untyped-def]
    generation, url = served
    options = OpenAiOptions(base_url=url, extra_body={"min_p": 0.1, "n": None})
    engine = make_engine("lrm", options, rendering=Rendering("Be brief.", {"enable_thinking": True}))
    request = GenerationRequest(engine.render(prompt_of("hello")), replace(WARM, top_k=20, stop=("Question:",)))
    list(engine.generate([request]))
    body = generation.seen[-1]
    assert body["messages"] == [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "hello"}]
    assert body["chat_template_kwargs"] == {"enable_thinking": True}
    assert (body["temperature"], body["top_p"], body["top_k"], body["max_tokens"]) == (0.6, 0.95, 20, 64)
    assert (body["min_p"], "n" in body, "stop" in body) == (0.1, False, False)
    assert body["seed"] == request.row_seed % (1 << 31)
    drawn_by(engine_of(url), asked(engine_of(url), ["hello"], sampling=Sampling(0.0)))
    assert (generation.seen[-1]["temperature"], "top_k" in generation.seen[-1]) == (0, False)


def test_template_arguments_and_system_message_are_part_of_what_is_stored_under() -> None:
    def key(**how: Any) -> str:
        engine = make_engine("lrm", OpenAiOptions(base_url="http://a/v1"), rendering=Rendering(**how))
        return GenerationRequest(engine.render(prompt_of("hi")), WARM).key(engine.identity)

    assert len({key(), key(system="s"), key(template_args={"enable_thinking": False})}) == 3


def test_identity_is_of_model_revision_api_and_body_never_of_places_and_keys(checkpoint: Path) -> None:
    def identity(model: str = "lrm", **options: Any) -> str:
        return engine_of(**{"url": "http://secret-host:1/v1", "model": model, **options}).identity

    ids = [
        identity(),
        identity("other"),
        identity(revision="step-200"),
        identity(extra_body={"chat_template": "hidden"}),
        identity(api="completions", tokenizer=str(checkpoint)),
        identity(str(checkpoint)),
    ]
    assert len(set(ids)) == len(ids)
    assert identity(url="http://elsewhere/v1", api_key_env="KEY", concurrency=3) == ids[0]
    assert not [word for word in ("secret", "hidden", "KEY", str(checkpoint)) if word in " ".join(ids)]
    assert "secret-host:1" in str(engine_of("http://secret-host:1/v1/key-in-path").facts())
    assert "key-in-path" not in str(engine_of("http://secret-host:1/v1/key-in-path").facts())


CLOSED, UNCLOSED, ABSENT = "closed", "unclosed", "absent"


@pytest.mark.parametrize(
    ("answer", "wanted"),
    [
        (choice(content="<think>\nhm\n</think>\n\n42"), ("hm", "42", CLOSED)),
        (choice(content="hm\n</think>\n\n42"), ("hm", "42", CLOSED)),
        (choice(content="42", reasoning_content="hm"), ("hm", "42", CLOSED)),
        (choice(content="42", reasoning="hm", reasoning_content=None), ("hm", "42", CLOSED)),
        (choice(content="42", reasoning_content=None), ("", "42", ABSENT)),
        (choice(content=[{"type": "text", "text": "42"}]), ("", "42", ABSENT)),
        (choice("length", content="<think>\nhm, so"), ("hm, so", "", UNCLOSED)),
        (choice("length", content=None, reasoning_content="hm, so"), ("hm, so", "", UNCLOSED)),
        (choice("stop", content="", reasoning="hm, so"), ("hm, so", "", UNCLOSED)),
        (choice("length", content=None), ("", "", UNCLOSED)),
        (choice("length", content="4", reasoning_content="hm"), ("hm", "4", CLOSED)),
        (choice(content=None, refusal="I cannot."), ("", "I cannot.", ABSENT)),
        (choice(content="42", reasoning_content="<think>hm</think>"), ("hm", "42", CLOSED)),
        (choice(content="", usage={"completion_tokens": 1}), ("", "", ABSENT)),
    ],
)
def test_thinking_and_answer_are_told_apart_however_they_come(served, answer, wanted) -> None:  # type: ignore[no-untyped-def]
    _, url = served
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        completion, trace = one(engine_of(url), answer)
    assert (completion.error, trace.finish_reason) == ("", json.loads(answer[7:])["choices"][0]["finish_reason"])
    assert (trace.thinking, trace.answer, trace.thinking_state, trace.irregular) == (*wanted, ())


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ("raw <html>gateway</html>", "something else than JSON"),
        ("raw ", "something else than JSON"),
        ('raw {"choices": []}', "no choices"),
        ('raw {"choices": [{"message": 3, "finish_reason": "stop"}]}', "no message"),
        ('raw {"error": {"message": "bad luck", "code": "odd"}}', "bad luck"),
        (choice("content_filter", content=""), "content filter"),
        (choice("tool_calls", content=None), "called a tool"),
        (choice(None, content="half of"), "does not say that the completion ended"),
        (choice(content=None, usage={"completion_tokens": 90}), "no text of the 90 tokens"),
        (choice(content=3), "is no text"),
        ("status 400 9", "answers 400: 'as asked'"),
        ("status 413 9", "answers 413"),
    ],
)
def test_what_is_no_completion_is_an_error_and_its_neighbours_go_on(served, answer, error) -> None:  # type: ignore[no-untyped-def]
    generation, url = served
    engine = engine_of(url)
    bad, fine = drawn_by(engine, asked(engine, [answer, "fine"]))
    assert error in bad.error
    assert "judge" not in bad.error
    assert (bad.finish_reason, bad.text, generation.tries[answer], fine.error) == ("error", "", 1, "")
    generation.tries.clear()
    trace = engine.trace(prompt_of(answer), asked(engine, [answer])[0], bad)
    assert (trace.finish_reason, trace.answer, trace.error) == ("error", "", bad.error)


def test_a_thought_cut_where_the_template_opened_it_is_no_answer_whatever_comes_first(served) -> None:  # type: ignore[no-untyped-def]
    _, url = served
    cut, whole = choice("length", content="hm, so"), choice(content="hm\n</think>\n42")
    for texts in ([cut, whole], [whole, cut]):
        engine = engine_of(url, concurrency=1)
        requests = asked(engine, texts)
        found = dict(zip(texts, drawn_by(engine, requests), strict=True))
        assert engine.trace(prompt_of(cut), requests[0], found[cut]).thinking_state == "unclosed"
    apart = choice(content="42", reasoning_content="hm")
    engine = engine_of(url, concurrency=1)
    completions = drawn_by(engine, asked(engine, [cut, apart]))
    assert [engine.trace(prompt_of("x"), asked(engine, ["x"])[0], c).thinking_state for c in completions] == [
        "unclosed",
        "closed",
    ]


def test_what_nothing_shows_is_said_and_a_tokenizer_shows_it(served, checkpoint: Path) -> None:  # type: ignore[no-untyped-def]
    _, url = served
    cut = choice("length", content="hm, so")
    with pytest.warns(RuntimeWarning, match="tokenizer"):
        assert one(engine_of(url), cut)[1].thinking_state == "absent"
    assert one(engine_of(url, tokenizer=str(checkpoint)), cut)[1].thinking_state == "unclosed"


def test_tokens_are_those_of_the_tokenizer_else_of_the_server_else_shared_out(served, checkpoint: Path) -> None:  # type: ignore[no-untyped-def]
    _, url = served
    text = "<think>abcdef</think>gh"
    details = {"completion_tokens": 40, "completion_tokens_details": {"reasoning_tokens": 25}}

    def counted(usage: Any, **options: Any) -> tuple[int, int]:
        trace = one(engine_of(url, **options), choice(content=text, usage=usage))[1]
        return trace.thinking_tokens, trace.answer_tokens

    assert counted(details) == (25, 15)
    assert counted({"completion_tokens": 40}) == (30, 10)
    assert counted(details, tokenizer=str(checkpoint)) == (6, 2)  # one for each character
    assert "tokenizer" in engine_of(url, tokenizer=str(checkpoint)).facts()["tokens"]
    assert "characters" in engine_of(url).facts()["tokens"]


def test_stops_end_the_answer_and_not_the_thinking(served) -> None:  # type: ignore[no-untyped-def]
    _, url = served
    answer = choice("length", content="<think>\nQuestion: no\n</think>\n\n42\nQuestion: more")
    completion, trace = one(engine_of(url), answer, replace(WARM, stop=("Question:",)))
    assert (trace.thinking, trace.answer, trace.finish_reason) == ("Question: no", "42", "stop")
    unclosed = choice("length", content="<think>\nQuestion: no")
    assert one(engine_of(url), unclosed, replace(WARM, stop=("Question:",)))[0].finish_reason == "length"
    assert completion.text.endswith("42\n")


def test_rendered_prompts_know_their_open_thought_and_have_their_special_tokens(served, checkpoint: Path) -> None:  # type: ignore[no-untyped-def]
    generation, url = served
    engine = engine_of(url, api="completions", tokenizer=str(checkpoint))
    request = GenerationRequest(engine.render(prompt_of("hi")), replace(WARM, end_thinking=True))
    drawn_by(engine, [request])
    body = generation.seen[-1]
    assert body["prompt"].endswith("assistant: <think>\n")
    assert (body["add_special_tokens"], body["skip_special_tokens"]) == (False, False)
    assert (body["stop"], body["include_stop_str_in_output"]) == (["</think>"], True)
    cut = engine.trace(prompt_of("hi"), request, Completion((), "hm, so", "length"))
    assert (cut.thinking, cut.answer, cut.thinking_state) == ("hm, so", "", "unclosed")
    forced = replace(request, text=request.text + "well, ", forced="well, ")
    whole = engine.trace(prompt_of("hi"), forced, Completion((), "hm\n</think>\n42", "stop"))
    assert (whole.thinking, whole.answer) == ("well, hm", "42")
    assert (whole.thinking_tokens, whole.answer_tokens) == (3, 3)  # the model's own: "hm" and "42" with their line ends


def test_what_a_server_cannot_do_is_said_with_the_fix(checkpoint: Path) -> None:
    with pytest.raises(RecipeError, match="add `tokenizer:`"):
        engine_of("http://a/v1", api="completions")
    with pytest.raises(RecipeError, match="api: completions"):
        make_engine("lrm", OpenAiOptions(base_url="http://a/v1"), decoding=ZeroThink())
    engine = engine_of("http://a/v1")
    for request in (
        GenerationRequest("{}", replace(WARM, end_thinking=True)),
        GenerationRequest("{}", WARM, forced="so"),
    ):
        with pytest.raises(RecipeError, match="api: completions"):
            list(engine.generate([request]))
    with pytest.raises(LrmctlError, match="tokenizer cannot be loaded"):
        engine_of("http://a/v1", api="completions", tokenizer=str(checkpoint / "nothing")).render(prompt_of("x"))


def test_what_cannot_be_sent_or_needs_no_server_costs_the_others_nothing(served) -> None:  # type: ignore[no-untyped-def]
    generation, url = served
    engine = engine_of(url)
    odd, fine = asked(engine, ["half of a \ud800", "fine"])
    before = len(generation.seen)
    none = replace(fine, sampling=replace(WARM, max_new_tokens=0))
    completions = drawn_by(engine, [none, odd, fine])
    assert [(c.finish_reason, bool(c.error)) for c in completions] == [
        ("length", False),
        ("error", True),
        ("stop", False),
    ]
    assert len(generation.seen) == before + 1


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=True) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=9,
)
TEXT = st.text("<think>/ a", max_size=30) | st.sampled_from(["<think>", "</think>", "a</think>b", "<think>a</think>b"])
MESSAGE = st.fixed_dictionaries({}, optional=dict.fromkeys(("content", "reasoning_content", "reasoning"), TEXT | JSON))
FINISH = st.sampled_from(["stop", "length"]) | JSON
CHOICE = st.fixed_dictionaries({}, optional={"message": MESSAGE | JSON, "text": TEXT | JSON, "finish_reason": FINISH})
USAGE = st.fixed_dictionaries({}, optional={"completion_tokens": JSON, "completion_tokens_details": JSON})
BODY = JSON | st.fixed_dictionaries({"choices": st.lists(CHOICE, max_size=2)}, optional={"usage": USAGE | JSON})


@given(body=BODY, api=st.sampled_from(["chat", "completions"]), opened=st.booleans())
def test_no_answer_is_too_odd_to_be_read_and_reasoning_never_becomes_an_answer(
    body: Any, api: str, opened: bool
) -> None:
    try:
        answer = read_answer(api, json.dumps(body).encode())
    except UnreadableError:
        return
    if api == "completions":
        assert isinstance(plain_completion(answer, "</s>"), str)
        return
    text, reasoning = chat_completion(answer, opened)
    split = split_text(text, opened=False) if reasoning is None else split_apart(reasoning, text)
    if answer.reasoning.strip():
        assert split.state == ("unclosed" if is_blank(answer.text) else "closed")
        assert split.answer in answer.text
