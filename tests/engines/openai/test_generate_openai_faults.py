"""Servers that are busy, broken, killed, slow or several: each request ends, once, and the others go on."""

from __future__ import annotations

import json
import os
import random
import signal
import threading
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
from chat_server import held_port, url_of
from generation_server import (
    Generation,
    Served,
    asked,
    choice,
    drawn,
    drawn_by,
    engine_of,
    generating,
    one,
)

from lrmctl.engines.base import Sampling
from lrmctl.engines.store import Store, complete
from lrmctl.errors import LrmctlError


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[Generation, str]]:
    generation = Generation()
    with generating(generation) as url:
        yield generation, url


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


@pytest.mark.timeout(300)  # less than the hour
def test_a_server_that_wants_an_hour_is_not_waited_for_and_a_slow_answer_is_asked_for_again(served) -> None:  # type: ignore[no-untyped-def]
    generation, url = served
    assert "429" in one(engine_of(url), "status 429 1 3600")[0].error
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
    fast, slow = Generation(pause=0.01), Generation(pause=0.4)
    with generating(fast) as one_url, generating(slow) as other:
        engine = engine_of([one_url, other], concurrency=4)
        drawn_by(engine, asked(engine, list(map(str, range(8)))))
        assert (len(fast.seen), len(slow.seen)) == (4, 4)
        drawn_by(engine, asked(engine, list(map(str, range(200)))))
    assert len(fast.seen) > len(slow.seen)
    assert max(fast.most, slow.most) <= 4


@pytest.mark.e2e
def test_a_server_killed_in_mid_run_loses_nothing_and_nothing_is_stored_twice(tmp_path: Path) -> None:
    there, dying = Generation(pause=0.02), Generation(pause=0.02)
    first, second = Served(there), Served(dying)
    # what the kernel took for a server that is killed, in this process, is never answered and never refused
    engine = engine_of([first.url, second.url], concurrency=8, patience=20, timeout=8)
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


@pytest.mark.e2e
@pytest.mark.parametrize("models", [200, 500])
def test_a_server_that_comes_back_works_on_whatever_it_says_of_its_models(models: int) -> None:
    one_, other = Generation(pause=0.02), Generation(pause=0.02)
    other.models = models
    held = held_port()
    with generating(one_) as url:
        engine = engine_of([url, url_of(held)], concurrency=2, patience=30)
        late: list[Served] = []
        starting = threading.Thread(target=lambda: one_.wait_for(50) and late.append(Served(other, held)))
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


@pytest.mark.e2e
@pytest.mark.timeout(110)  # less than 5,000 / 64 times the patience
def test_when_all_servers_are_away_for_the_patience_everything_fails_once_and_later_calls_do_not_wait_again() -> None:
    away = [held_port() for _ in range(2)]
    engine = engine_of([url_of(one) for one in away], patience=1.5)
    for _ in range(2):
        completions = drawn_by(engine, asked(engine, list(map(str, range(5000)))))
        assert all("does not answer" in c.error for c in completions)


def test_requests_are_paced(served) -> None:  # type: ignore[no-untyped-def]
    _, url = served
    engine = engine_of(url, requests_per_minute=1)
    drawn_by(engine, asked(engine, ["1"]))
    assert engine._pool.rate.reserve() > 10  # what is left of a minute


def test_an_interrupt_ends_at_once_and_the_server_is_let_go() -> None:
    generation = Generation(pause=60)
    with generating(generation) as url:
        engine = engine_of(url, concurrency=4)
        threading.Thread(target=lambda: generation.wait_for(4) and os.kill(os.getpid(), signal.SIGINT)).start()
        with pytest.raises(KeyboardInterrupt):
            drawn_by(engine, asked(engine, list(map(str, range(100)))))
        assert generation.answered == 0  # it was not waited for
        time.sleep(0.5)
        engine.release()
        assert engine._pool._dispatcher is None
    assert len(generation.seen) == 4


def test_completions_come_as_they_end() -> None:
    generation = Generation(pause=1)
    with generating(generation) as url:
        engine = engine_of(url, concurrency=2)
        batches = engine.generate(asked(engine, list(map(str, range(20)))))
        next(batches)
        assert generation.answered < 20  # not when all of them have ended
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
        assert "ignore temperature or seed" in engine.facts()["warnings"][0]
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            drawn_by(engine, asked(engine, ["a", "b", "c", "d"], samples=3, sampling=Sampling(0.0)))


def test_whatever_servers_do_every_request_ends_once() -> None:
    luck = random.Random(0)
    kinds = ["fine", "status 500 1", "status 503 1", "status 400 999", "raw {", choice(content=None), "slow 2.5"]
    texts = [f"{luck.choice(kinds)}" if luck.random() < 0.3 else f"fine {i}" for i in range(300)]
    with generating(Generation()) as one_url, generating(Generation()) as other:
        engine = engine_of([one_url, other], concurrency=6, timeout=2, patience=120)
        completions = drawn_by(engine, asked(engine, texts))
    bad = ("raw", "status 400")
    for text, completion in zip(texts, completions, strict=True):
        assert bool(completion.error) == text.startswith(bad)
