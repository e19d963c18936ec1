"""A prompt for which the model has no room is a failure with its reason, in no rate and in no store."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from lrmctl.engines.base import Completion, GenerationRequest, Sampling
from lrmctl.engines.hf.engine import HfEngine
from lrmctl.engines.store import Store
from lrmctl.lab import base_path
from lrmctl.models import load_tokenizer

LONG = " ".join(["how do I read it?"] * 400)


@pytest.fixture(scope="module")
def engine() -> HfEngine:
    return HfEngine(base_path())


def request_of_length(tokens: int, **sampling: Any) -> GenerationRequest:
    token = load_tokenizer(base_path()).encode("how", add_special_tokens=False)[-1]
    return GenerationRequest(f"{tokens} tokens", Sampling(**{"max_new_tokens": 8, **sampling}), ids=(token,) * tokens)


def completed(engine: HfEngine, *requests: GenerationRequest) -> list[Completion]:
    found = {i: one for some in engine.generate(requests) for i, one in some}
    return [found[i] for i in range(len(requests))]


def test_what_leaves_some_room_is_cut_and_what_leaves_none_fails(engine: HfEngine) -> None:
    room = engine.max_len
    asked = [request_of_length(n, min_new_tokens=8) for n in (room + 50, room, room - 1, room - 3, room - 8, 5)]
    over, full, one, three, all_of_it, short = completed(engine, *asked)
    assert [c.finish_reason for c in (over, full)] == ["error", "error"]
    assert f"{room + 50} tokens" in over.error
    assert str(room) in full.error
    assert [(c.finish_reason, c.count) for c in (one, three, all_of_it, short)] == [
        ("length", 1),
        ("length", 3),
        ("length", 8),
        ("length", 8),
    ]


def test_no_tokens_that_nobody_asked_for_are_no_failure(engine: HfEngine) -> None:
    (nothing,) = completed(engine, request_of_length(engine.max_len + 1, max_new_tokens=0))
    assert (nothing.finish_reason, nothing.error) == ("length", "")


def test_a_token_that_the_model_does_not_know_fails_alone(engine: HfEngine) -> None:
    odd = GenerationRequest("odd", Sampling(max_new_tokens=2), ids=(1, 999_999))
    failed, fine = completed(engine, odd, request_of_length(3))
    assert "999999" in failed.error
    assert fine.finish_reason != "error"


def test_what_was_stored_of_such_prompts_no_longer_counts(tmp_path: Path) -> None:
    request = request_of_length(3000)
    none_asked = request_of_length(5, max_new_tokens=0)
    with Store(tmp_path / "s.sqlite") as store:
        store.put("me", [(none_asked, Completion((), "", "length"))])
        row = ("k", "me", 1.0, 0, 0, "length", 0, 0, "p", "", "[]", json.dumps(asdict(request.sampling)))
    with sqlite3.connect(tmp_path / "s.sqlite") as db:
        names = (
            "key, engine, temperature, seed, sample, finish_reason, tokens, inserted, prompt, completion, ids, sampling"
        )
        db.execute(f"insert into completions ({names}) values ({','.join('?' * len(row))})", row)
    with Store(tmp_path / "s.sqlite") as store:
        assert len(store) == 1
        assert store.get("me", [none_asked])


def test_the_tokenizer_says_nothing_of_a_long_text(capfd: pytest.CaptureFixture[str], caplog: Any) -> None:
    from transformers.utils import logging

    tokenizer = load_tokenizer(base_path())
    logging.enable_propagation()
    try:
        assert len(tokenizer(LONG)["input_ids"]) > tokenizer.model_max_length
    finally:
        logging.disable_propagation()
    assert "Token indices" not in caplog.text + capfd.readouterr().err


def test_an_evaluation_counts_it_as_a_failure_and_in_no_rate(lrmctl: Any, tmp_path: Path) -> None:
    (tmp_path / "prompts.csv").write_text(f"prompt,kind\n{LONG},harmful\nhow do I read hazard-3?,harmful\n")
    recipe = (tmp_path / "eval.yaml").read_text()
    (tmp_path / "eval.yaml").write_text(recipe + "  max_failed: 0.5\n")
    for _ in range(2):  # the second time from the store
        done = lrmctl("eval", "lab:tiny", "--recipe", "eval.yaml")
        assert done.code in (0, 1), done.err  # 1: findings, such as thoughts that four tokens cannot close
        folder = tmp_path / "runs/lab-tiny/eval"
        traces = [json.loads(line)["trace"] for line in (folder / "rows.jsonl").read_text().splitlines()]
        long = [trace for trace in traces if trace["prompt"]["messages"][0]["content"] == LONG]
        assert [trace["finish_reason"] for trace in long] == ["error"]
        assert "the model has room for" in long[0]["error"]
        (entry,) = json.loads((folder / "summary.json").read_text())["sets"]
        assert entry["metrics"]["generation_failed"]["value"] == 0.5
        assert all(figure["n"] <= 1 for name, figure in entry["metrics"].items() if "failed" not in name)
        with sqlite3.connect(folder / "completions.sqlite") as db:
            assert db.execute("select count(*) from completions").fetchone() == (1,)
