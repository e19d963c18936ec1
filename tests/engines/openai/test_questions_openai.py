"""Questions to a real HTTP server, in good order and in every kind of trouble: an answer, or a reply with an error."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import pytest
from chat_server import Behaviour, held_port, resetting, serving, url_of
from hypothesis import given
from hypothesis import strategies as st

from lrmctl.engines.factory import judge_engine
from lrmctl.engines.openai.engine import OpenAiEngine
from lrmctl.engines.openai.protocol import UnreadableError, question_body, read_first_token, read_reply
from lrmctl.engines.openai.retry import CircuitBreaker, is_too_long
from lrmctl.errors import LrmctlError
from lrmctl.judges.query import JudgeQuery, JudgeReply, ask, request_of
from lrmctl.judges.templates.harmbench import HarmBench
from lrmctl.judges.templates.llama_guard import LlamaGuard
from lrmctl.judges.templates.shieldgemma import ShieldGemma
from lrmctl.judges.templates.yes_no import YesNo

WORDS = ("safe", "unsafe")


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[Behaviour, str]]:
    behaviour = Behaviour()
    with serving(behaviour) as url:
        yield behaviour, url


def chat(url: str, model: str = "guard", **options: Any) -> Any:
    return judge_engine(model, {"use": "openai", "base_url": url, "patience": 6, **options})


def said(text: str, **rest: Any) -> JudgeQuery:
    return JudgeQuery(messages=({"role": "user", "content": text},), **rest)


def one(engine: Any, query: JudgeQuery) -> JudgeReply:
    (reply,) = ask(engine, [query])
    return reply


def body_of(query: JudgeQuery) -> dict[str, Any]:
    engine = chat("http://127.0.0.1:1/v1")
    return question_body("m", request_of(engine, query), {}, 20 if query.choices else 0)[1]


def test_replies_come_in_order_and_many_questions_are_under_way_at_once(served) -> None:  # type: ignore[no-untyped-def]
    behaviour, url = served
    behaviour.most = 0
    asks = [said(f"pause 0.02 {i}") for i in range(60)]
    replies = ask(chat(url, concurrency=8), asks)
    assert [r.text for r in replies] == [f"echo pause 0.02 {i}" for i in range(60)]
    assert 4 <= behaviour.most <= 8


def test_what_is_sent(served) -> None:  # type: ignore[no-untyped-def]
    behaviour, url = served
    engine = chat(url, extra_body={"top_k": 1, "max_tokens": None}, top_logprobs=5)
    ask(engine, [said("hello", max_new_tokens=9, template_args={"enable_thinking": False})])
    body = behaviour.seen[-1]
    assert (body["temperature"], body["top_k"], body["messages"]) == (0, 1, [{"role": "user", "content": "hello"}])
    assert "max_tokens" not in body
    assert body["chat_template_kwargs"] == {"enable_thinking": False}
    assert one(chat(url), JudgeQuery(text="plain", prefill=" and", max_new_tokens=3)).text == "echo plain and"
    assert behaviour.paths[-1] == "completions"
    assert (behaviour.seen[-1]["max_tokens"], behaviour.seen[-1]["add_special_tokens"]) == (3, False)


@pytest.mark.parametrize("text", [False, True])
def test_probabilities_are_those_of_the_first_token_that_is_not_blank(served, text) -> None:  # type: ignore[no-untyped-def]
    _, url = served
    tables = [{"\n\n": 1.0}, {"un": 0.5, " unsafe": 0.25, "safe": 0.1, " safe": 0.05, "S": 0.05}]
    question = f"first {json.dumps(tables)}"
    ask = JudgeQuery(text=question, choices=WORDS) if text else said(question, choices=WORDS)
    assert dict(one(chat(url), ask).probabilities) == pytest.approx({"unsafe": 0.75, "safe": 0.15})


def test_a_choice_that_is_not_seen_is_absent_and_none_at_all_is_an_error(served) -> None:  # type: ignore[no-untyped-def]
    _, url = served
    asks = [said(f"first {json.dumps([table])}", choices=WORDS) for table in ({"safe": 0.9}, {"Sorry": 0.9})]
    seen, none = ask(chat(url), asks)
    assert set(seen.probabilities) == {"safe"}
    assert "none of safe, unsafe" in none.error
    blank = one(chat(url), said('first [{" ": 1.0}]', choices=WORDS))
    assert "blank" in blank.error


@pytest.mark.parametrize(
    ("question", "error"),
    [
        ("raw <html>gateway</html>", "something else than JSON: '<html>gateway"),
        ("raw ", "something else than JSON"),
        ("raw []", "no choices"),
        ('raw {"choices": []}', "no choices"),
        ('raw {"choices": [3]}', "no choices"),
        ('raw {"choices": [{"message": 3}]}', "no message"),
        ('raw {"error": {"message": "bad luck", "code": "odd"}}', "bad luck"),
        ('raw {"choices": [{"message": {"content": ""}, "finish_reason": "content_filter"}]}', "filter"),
        ('message {"content": null}', "empty"),
        ('message {"content": "  "}', "empty"),
        ('message {"content": null, "reasoning_content": "hm"}', "went into its reasoning"),
        ('message {"content": "", "reasoning": "hm"}', "went into its reasoning"),
        ('message {"content": null, "refusal": "no"}', "refused to judge"),
        ('message {"content": 3}', "is no text"),
    ],
)  # fmt: skip
def test_what_is_no_answer_is_an_error_and_never_asked_again(served, question, error) -> None:  # type: ignore[no-untyped-def]
    behaviour, url = served
    reply = one(chat(url), said(question))
    assert error in reply.error
    assert (reply.text, len(reply.error) < 400, behaviour.tries[question]) == ("", True, 1)


def test_reasoning_beside_an_answer_is_not_read(served) -> None:  # type: ignore[no-untyped-def]
    _, url = served
    asks = [
        said('message {"content": "safe", "reasoning_content": "unsafe?"}'),
        said('message {"content": [{"type": "text", "text": "safe"}]}'),
    ]
    assert [r.text for r in ask(chat(url), asks)] == ["safe", "safe"]


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503])
def test_what_may_pass_is_asked_again(served, status) -> None:  # type: ignore[no-untyped-def]
    behaviour, url = served
    question = f"status {status} 2"
    assert one(chat(url), said(question)).text == f"echo {question}"
    assert behaviour.tries[question] == 3


def test_an_error_told_within_a_200_is_asked_again_by_its_code(served) -> None:  # type: ignore[no-untyped-def]
    _, url = served
    reply = one(chat(url, patience=0.2), said('raw {"error": {"message": "upstream busy", "code": 429}}'))
    assert "answers 429: 'upstream busy' (asked" in reply.error


@pytest.mark.timeout(300)  # less than the hour
def test_retry_after_is_honoured(served) -> None:  # type: ignore[no-untyped-def]
    behaviour, url = served
    assert one(chat(url), said("status 429 1 2")).text
    assert (behaviour.tries["status 429 1 2"], behaviour.early) == (2, 0)
    reply = one(chat(url), said("status 429 1 3600"))
    assert "429" in reply.error
    assert behaviour.tries["status 429 1 3600"] == 1


@pytest.mark.e2e
def test_a_server_that_stays_broken_is_given_up_when_patience_is_over(served) -> None:  # type: ignore[no-untyped-def]
    behaviour, url = served
    engine = chat(url, patience=1.5, concurrency=4)
    replies = ask(engine, [said(f"status 500 99 {i}") for i in range(40)])
    assert all("answers 500: 'as asked' (asked" in r.error for r in replies)
    assert 4 <= sum(behaviour.tries[f"status 500 99 {i}"] for i in range(40)) < 80  # four are asked again, not forty


@pytest.mark.parametrize(("model", "told"), [("unknown", "the model's name 'unknown'"), ("guarded", "api_key_env")])
def test_what_asking_again_cannot_mend_fails_at_once_and_says_what_to_do(served, model, told) -> None:  # type: ignore[no-untyped-def]
    behaviour, url = served
    before = behaviour.tries["hello"]
    assert told in one(chat(url, model), said("hello")).error
    assert behaviour.tries["hello"] <= before + 1


def test_the_key_comes_from_the_environment_and_is_never_shown(served, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    _, url = served
    engine = chat(url, "guarded", api_key_env="LRMCTL_TEST_KEY")
    monkeypatch.delenv("LRMCTL_TEST_KEY", raising=False)
    for call in (engine.prepare, lambda: ask(engine, [said("hello")])):
        with pytest.raises(LrmctlError, match="LRMCTL_TEST_KEY"):
            call()
    monkeypatch.setenv("LRMCTL_TEST_KEY", "wrong-secret")
    reply = one(engine, said("hello"))
    assert "check the key in LRMCTL_TEST_KEY" in reply.error
    assert "wrong-secret" not in reply.error
    monkeypatch.setenv("LRMCTL_TEST_KEY", "right")
    assert one(engine, said("hello")).text == "echo hello"
    assert (url in engine.identity, "secret" in engine.identity) == (False, False)


def test_a_slow_answer_is_asked_for_again(served) -> None:  # type: ignore[no-untyped-def]
    behaviour, url = served
    assert one(chat(url, timeout=0.3), said("slow 1.0")).text == "echo slow 1.0"
    assert behaviour.tries["slow 1.0"] >= 2


def test_a_connection_that_is_reset_is_tried_again() -> None:
    with resetting(2) as url:
        assert one(chat(url), said("hello")).text == "fine"


@pytest.mark.e2e
def test_a_server_that_comes_up_late_is_waited_for() -> None:
    behaviour = Behaviour()
    with serving(behaviour, after=1.0) as url:
        replies = ask(chat(url, patience=15), [said(str(i)) for i in range(40)])
    assert [r.text for r in replies] == [f"echo {i}" for i in range(40)]


@pytest.mark.slow
def test_a_server_that_is_down_for_20_seconds_is_survived() -> None:
    behaviour, held = Behaviour(), held_port()
    again = held_port(held.getsockname()[1])
    with serving(behaviour, held) as url:
        engine = chat(url, patience=90)
        assert one(engine, said("before")).text == "echo before"
    with serving(behaviour, again, after=20.0):
        replies = ask(engine, [said(str(i)) for i in range(100)])
    assert [r.text for r in replies] == [f"echo {i}" for i in range(100)]


def test_a_server_that_is_not_there_is_named() -> None:
    held = held_port()
    reply = one(chat(url_of(held), patience=0), said("hello"))
    assert f"127.0.0.1:{held.getsockname()[1]} does not answer" in reply.error
    assert "asked 1 time)" in reply.error


def test_requests_are_paced(served) -> None:  # type: ignore[no-untyped-def]
    _, url = served
    engine = chat(url, requests_per_minute=1)
    assert isinstance(engine, OpenAiEngine)
    assert ask(engine, [said("paced")])[0].text
    assert engine._pool.rate.reserve() > 10  # what is left of a minute


def test_many_threads_get_their_own_answers(served) -> None:  # type: ignore[no-untyped-def]
    behaviour, url = served
    engine = chat(url, concurrency=6)
    behaviour.most = 0

    def work(n: int) -> list[str]:
        return [r.text for r in ask(engine, [said(f"{n} {i}") for i in range(5)])]

    with ThreadPoolExecutor(20) as pool:
        found = list(pool.map(work, range(20)))
    assert found == [[f"echo {n} {i}" for i in range(5)] for n in range(20)]
    assert behaviour.most <= 6


@pytest.mark.timeout(300)  # less than the patience
def test_an_interrupt_ends_the_patience() -> None:
    held = held_port()
    engine = chat(url_of(held), patience=3600)
    assert isinstance(engine, OpenAiEngine)
    threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt):
        ask(engine, [said(str(i)) for i in range(100)])
    engine.release()


def test_patience_is_with_the_server_and_forgets_old_outages() -> None:
    now = [0.0]
    breaker = CircuitBreaker(10, now=lambda: now[0])
    assert breaker.lasts is None
    breaker.failed()
    now[0] = 11.0
    breaker.failed()
    assert breaker.lasts == 11.0
    breaker.ended()
    assert breaker.lasts is None
    breaker.failed()
    now[0] = 500.0
    breaker.failed()
    assert breaker.lasts == 0.0


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=True) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=9,
)
CHOICE = st.fixed_dictionaries({}, optional={"message": JSON, "text": JSON, "logprobs": JSON, "finish_reason": JSON})
TOKEN = st.fixed_dictionaries({"token": JSON, "logprob": JSON}, optional={"top_logprobs": JSON})
LOGPROBS = st.fixed_dictionaries({"content": st.lists(TOKEN, max_size=3)})
BODY = JSON | st.fixed_dictionaries({"choices": st.lists(CHOICE | st.fixed_dictionaries({"logprobs": LOGPROBS}))})


@given(body=BODY, cut=st.integers(0, 40), plain=st.booleans())
def test_no_answer_of_a_server_is_too_odd_to_be_read(body: Any, cut: int, plain: bool) -> None:
    data = json.dumps(body).encode()
    for some in (data, data[:cut], b"\xff" + data):
        with suppress(UnreadableError):
            assert read_reply(plain, some).strip()
        with suppress(UnreadableError):
            assert all(0 <= p <= 1 for p in read_first_token(WORDS, some).values())


def test_a_question_of_choices_asks_for_a_few_tokens_only() -> None:
    body = body_of(said("q", choices=WORDS, max_new_tokens=512))
    assert (body["max_tokens"], body["logprobs"], body["top_logprobs"]) == (8, True, 20)


def test_every_judge_by_probability_sees_past_the_blank_tokens_that_a_reply_begins_with() -> None:
    forms = (LlamaGuard(3, "probability"), LlamaGuard(4, "probability"), HarmBench(mode="probability"))
    for form in (*forms, ShieldGemma(), YesNo("{response}? Answer Yes or No.")):
        for query in form.asks("a question", "an answer"):
            assert body_of(query)["max_tokens"] == 8, form


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (400, "This model's maximum context length is 4096 tokens. However, you requested 5000 tokens"),
        (400, "The decoder prompt (length 5000) is longer than the maximum model length of 4096."),
        (400, "The input (5000 tokens) is longer than the model's context length (4096 tokens)."),
        (400, "the request exceeds the available context size, try increasing it"),
        (422, "Input validation error: `inputs` must have less than 4095 tokens. Given: 5000"),
        (422, "`inputs` tokens + `max_new_tokens` must be <= 4096. Given: 5000"),
        (400, "prompt is too long: 5000 tokens > 4096 maximum"),
        (400, "The input token count (5000) exceeds the maximum number of tokens allowed (4096)."),
        (413, "payload"),
    ],
)
def test_a_servers_word_for_a_question_that_is_too_long_is_known(status: int, words: str) -> None:
    assert is_too_long(status, words)
    assert not is_too_long(500, words)


@pytest.mark.parametrize("words", ["unknown field add_special_tokens", "max_tokens must be at least 1", "bad key", ""])
def test_other_refusals_of_a_server_are_not_about_length(words: str) -> None:
    assert not is_too_long(400, words)
