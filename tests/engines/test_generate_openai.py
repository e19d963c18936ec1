"""Completions from real HTTP servers, in good order and in every kind of trouble: each request ends, once."""

from __future__ import annotations

import json
import os
import random
import signal
import threading
import time
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from chat_server import free_port
from generation_server import Generation, Served, drawn, generating

from lrmctl.engines.base import Sampling
from lrmctl.engines.generate_openai import OpenAiEngine
from lrmctl.engines.generators import make_generator
from lrmctl.engines.requests import Completion, Rendering, Request
from lrmctl.engines.store import Store, complete
from lrmctl.errors import LrmctlError, RecipeError
from lrmctl.recipe.decoding import ZeroThink
from lrmctl.recipe.generators import OpenAiGenerator
from lrmctl.types import Prompt, Trace

WARM = Sampling(0.6, 0.95, max_new_tokens=64)


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[Generation, str]]:
    generation = Generation()
    with generating(generation) as url:
        yield generation, url


def engine_of(url: str | Sequence[str], model: str = "lrm", **options: Any) -> OpenAiEngine:
    urls = url if isinstance(url, str) else tuple(url)
    made = make_generator(model, OpenAiGenerator(base_url=urls, **{"patience": 6, **options}))
    assert isinstance(made, OpenAiEngine)
    return made


def prompt_of(text: str) -> Prompt:
    return Prompt.user(text, text, "benign")


def asked(engine: OpenAiEngine, texts: Sequence[str], samples: int = 1, sampling: Sampling = WARM) -> list[Request]:
    return [Request(engine.render(prompt_of(text)), sampling, i, seed=5) for text in texts for i in range(samples)]


def drawn_by(engine: OpenAiEngine, requests: Sequence[Request]) -> list[Completion]:
    found = [one for batch in engine.generate(requests) for one in batch]
    assert sorted(i for i, _ in found) == list(range(len(requests)))  # every request exactly once
    return [completion for _, completion in sorted(found, key=lambda one: one[0])]


def one(engine: OpenAiEngine, text: str, sampling: Sampling = WARM) -> tuple[Completion, Trace]:
    requests = asked(engine, [text], sampling=sampling)
    (completion,) = drawn_by(engine, requests)
    return completion, engine.trace(prompt_of(text), requests[0], completion)


def choice(finish: str | None = "stop", usage: Any = None, **message: Any) -> str:
    body = {"choices": [{"message": message, "finish_reason": finish}]}
    return "choice " + json.dumps(body | ({"usage": usage} if usage else {}))


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
    options = OpenAiGenerator(base_url=url, extra_body={"min_p": 0.1, "n": None})
    engine = make_generator("lrm", options, rendering=Rendering("Be brief.", {"enable_thinking": True}))
    request = Request(engine.render(prompt_of("hello")), replace(WARM, top_k=20, stop=("Question:",)))
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
        engine = make_generator("lrm", OpenAiGenerator(base_url="http://a/v1"), rendering=Rendering(**how))
        return Request(engine.render(prompt_of("hi")), WARM).key(engine.identity)

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
        (choice(content="42", reasoning_content="a </think> b <think> c"), ("a < /think> b < think> c", "42", CLOSED)),
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
    request = Request(engine.render(prompt_of("hi")), replace(WARM, end_thinking=True))
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
        make_generator("lrm", OpenAiGenerator(base_url="http://a/v1"), decoding=ZeroThink())
    engine = engine_of("http://a/v1")
    for request in (Request("{}", replace(WARM, end_thinking=True)), Request("{}", WARM, forced="so")):
        with pytest.raises(RecipeError, match="api: completions"):
            list(engine.generate([request]))
    with pytest.raises(LrmctlError, match="no tokenizer"):
        engine_of("http://a/v1", api="completions", tokenizer=str(checkpoint / "nothing")).render(prompt_of("x"))


@pytest.mark.parametrize("status", [429, 500, 503])
def test_what_may_pass_is_asked_again(served, status) -> None:  # type: ignore[no-untyped-def]
    generation, url = served
    generation.tries.clear()
    text = f"status {status} 2"
    assert one(engine_of(url, patience=20), text)[0].error == ""
    assert generation.tries[text] == 3


def test_one_prompt_that_breaks_the_server_costs_nobody_else_anything(served) -> None:  # type: ignore[no-untyped-def]
    _, url = served
    engine = engine_of(url, patience=1.5, concurrency=4)
    completions = drawn_by(engine, asked(engine, ["status 500 99", *map(str, range(200))]))
    assert "answers 500: 'as asked' (asked" in completions[0].error
    assert not [c.error for c in completions[1:] if c.error]


def test_a_server_that_wants_an_hour_is_not_waited_for_and_a_slow_answer_is_asked_for_again(served) -> None:  # type: ignore[no-untyped-def]
    generation, url = served
    began = time.monotonic()
    assert "429" in one(engine_of(url), "status 429 1 3600")[0].error
    assert time.monotonic() - began < 2
    assert one(engine_of(url, timeout=0.3), "slow 1.0")[0].error == ""
    assert generation.tries["slow 1.0"] >= 2


@pytest.mark.parametrize(("model", "told"), [("unknown", "the model's name 'unknown'"), ("guarded", "api_key_env")])
def test_what_nothing_can_mend_ends_the_run_at_once_with_what_to_do(served, model, told) -> None:  # type: ignore[no-untyped-def]
    _, url = served
    engine = engine_of(url, model)
    with pytest.raises(LrmctlError, match=told) as caught:
        drawn_by(engine, asked(engine, list(map(str, range(1000)))))
    assert "judge" not in str(caught.value)


def test_the_key_comes_from_the_environment_and_is_never_shown(served, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    _, url = served
    engine = engine_of(url, "guarded", api_key_env="LRMCTL_TEST_KEY")
    monkeypatch.delenv("LRMCTL_TEST_KEY", raising=False)
    with pytest.raises(LrmctlError, match="LRMCTL_TEST_KEY is not set"):
        one(engine, "hello")
    monkeypatch.setenv("LRMCTL_TEST_KEY", "wrong-secret")
    with pytest.raises(LrmctlError, match="check the key in LRMCTL_TEST_KEY") as caught:
        one(engine, "hello")
    assert "wrong-secret" not in str(caught.value)
    monkeypatch.setenv("LRMCTL_TEST_KEY", "right")
    assert one(engine, "hello")[0].error == ""


def test_work_is_shared_out_by_how_fast_servers_are_and_none_has_more_than_it_may() -> None:
    fast, slow = Generation(pause=0.01), Generation(pause=0.1)
    with generating(fast) as one_url, generating(slow) as other:
        engine = engine_of([one_url, other], concurrency=4)
        drawn_by(engine, asked(engine, list(map(str, range(8)))))
        assert (len(fast.seen), len(slow.seen)) == (4, 4)
        drawn_by(engine, asked(engine, list(map(str, range(200)))))
    assert len(fast.seen) > 2 * len(slow.seen)
    assert max(fast.most, slow.most) <= 4


def test_a_server_killed_in_mid_run_loses_nothing_and_nothing_is_stored_twice(tmp_path: Path) -> None:
    there, dying = Generation(pause=0.02), Generation(pause=0.02)
    first, second = Served(there), Served(dying)
    engine = engine_of([first.url, second.url], concurrency=8, patience=20)
    requests = asked(engine, [f"p{i}" for i in range(150)], samples=4)
    killing = threading.Thread(target=lambda: dying.wait_for(60) and second.kill())
    killing.start()
    with Store(tmp_path / "c.sqlite") as store:
        completions = complete(engine, store, requests)
        assert len(store) == len(requests) == 600
    killing.join(10)
    assert 60 <= len(dying.seen) < len(there.seen)
    for request, completion in zip(requests, completions, strict=True):
        text = json.loads(request.text)["messages"][-1]["content"]
        assert completion.text.startswith(f"<think>\n{drawn(text, request.row_seed % (1 << 31), 0.6)}\n")
    first.kill()


def test_a_server_that_comes_back_works_on() -> None:
    one_, other = Generation(pause=0.02), Generation(pause=0.02)
    port = free_port()
    with generating(one_) as url:
        engine = engine_of([url, f"http://127.0.0.1:{port}/v1"], concurrency=2, patience=30)
        late: list[Served] = []
        starting = threading.Thread(target=lambda: one_.wait_for(50) and late.append(Served(other, port)))
        starting.start()
        completions = drawn_by(engine, asked(engine, list(map(str, range(600)))))
        starting.join(10)
        late[0].kill()
    assert not any(c.error for c in completions)
    assert len(other.seen) > 10


def test_a_server_that_answers_errors_quickly_does_not_swallow_the_work() -> None:
    fine, broken = Generation(pause=0.02), Generation()
    broken.down = 500
    with generating(fine) as url, generating(broken) as other:
        engine = engine_of([url, other], concurrency=4, patience=4)
        completions = drawn_by(engine, asked(engine, list(map(str, range(100)))))
    assert not any(c.error for c in completions)
    assert len(broken.seen) < 50


def test_when_all_servers_are_away_for_the_patience_everything_fails_once_and_later_calls_do_not_wait_again() -> None:
    urls = [f"http://127.0.0.1:{free_port()}/v1" for _ in range(2)]
    engine = engine_of(urls, patience=1.5)
    began = time.monotonic()
    completions = drawn_by(engine, asked(engine, list(map(str, range(5000)))))
    assert all("does not answer" in c.error for c in completions)
    assert 1 < time.monotonic() - began < 8
    began = time.monotonic()
    drawn_by(engine, asked(engine, list(map(str, range(5000)))))
    assert time.monotonic() - began < 3


def test_requests_are_paced(served) -> None:  # type: ignore[no-untyped-def]
    _, url = served
    engine = engine_of(url, requests_per_minute=600)
    began = time.monotonic()
    drawn_by(engine, asked(engine, list(map(str, range(8)))))
    assert time.monotonic() - began > 0.6


def test_an_interrupt_ends_at_once_and_the_server_is_let_go() -> None:
    generation = Generation(pause=1.5)
    with generating(generation) as url:
        engine = engine_of(url, concurrency=4)
        threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()
        began = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            drawn_by(engine, asked(engine, list(map(str, range(100)))))
        assert time.monotonic() - began < 1.4
        assert not [t for t in threading.enumerate() if t.name == "servers"]
        time.sleep(1.5)
    assert len(generation.seen) == 4


def test_completions_come_as_they_end() -> None:
    with generating(Generation(pause=0.1)) as url:
        engine = engine_of(url, concurrency=2)
        batches = engine.generate(asked(engine, list(map(str, range(20)))))
        began = time.monotonic()
        next(batches)
        assert time.monotonic() - began < 0.8
        batches.close()  # type: ignore[attr-defined]


def test_a_server_that_heeds_no_seed_is_named_and_one_that_does_is_not(served) -> None:  # type: ignore[no-untyped-def]
    _, url = served
    engine = engine_of(url)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        drawn_by(engine, asked(engine, ["a", "b", "c", "d"], samples=3))
        drawn_by(engine, asked(engine, ["a", "b", "c", "d"], samples=1))
    with generating(Generation(deaf=True)) as deaf:
        engine = engine_of(deaf)
        with pytest.warns(RuntimeWarning, match="ignore temperature or seed"):
            drawn_by(engine, asked(engine, ["a", "b", "c", "d"], samples=3))
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            drawn_by(engine, asked(engine, ["a", "b", "c", "d"], samples=3, sampling=Sampling(0.0)))


def test_whatever_servers_do_every_request_ends_once() -> None:
    luck = random.Random(0)
    kinds = ["fine", "status 500 1", "status 503 1", "status 400 9", "raw {", choice(content=None), "slow 0.4"]
    texts = [f"{luck.choice(kinds)}" if luck.random() < 0.3 else f"fine {i}" for i in range(300)]
    with generating(Generation()) as one_url, generating(Generation()) as other:
        engine = engine_of([one_url, other], concurrency=6, timeout=0.3, patience=8)
        completions = drawn_by(engine, asked(engine, texts))
    bad = ("raw", "status 400")
    for text, completion in zip(texts, completions, strict=True):
        assert bool(completion.error) == text.startswith(bad)
