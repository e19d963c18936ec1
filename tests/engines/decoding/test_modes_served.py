"""Decoding modes over HTTP: the lab's model behind a completions server, whatever the server makes of a stop text."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import Response
from generation_server import Generation, generating

from lrmctl.engines.base import Engine, GenerationRequest, Sampling
from lrmctl.engines.factory import make_engine
from lrmctl.engines.hf.engine import HfEngine
from lrmctl.engines.store import Store, sample_traces
from lrmctl.errors import RecipeError
from lrmctl.hooks import registry
from lrmctl.lab import base_path
from lrmctl.recipe.schema.decoding import Budget, Decoding, LessThink, MoreThink, Prefix, ZeroThink
from lrmctl.recipe.schema.engines import OpenAiOptions
from lrmctl.types import Prompt, Trace

HOW = Sampling(0.6, 0.95, max_new_tokens=80)
pytestmark = [
    pytest.mark.e2e,
    pytest.mark.filterwarnings("ignore:all samples of"),  # twelve tokens are often the same
]
THOUGHT = "Okay, this is a risky thing. So the plan is hazard-2 then hazard-3."


class LabServer(Generation):
    """The lab's model; `shows` says whether a stop text stays in the completion, as vLLM does if it is asked to."""

    def __init__(self, shows: bool) -> None:
        super().__init__()
        self.shows, self.model, self.one = shows, HfEngine(base_path()), threading.Lock()

    def _answer(self, asked: str, body: dict[str, Any], tries: int) -> Response:
        del tries
        how = Sampling(body["temperature"], body["top_p"], max_new_tokens=body["max_tokens"])
        with self.one:
            ((_, done),) = next(iter(self.model.generate([GenerationRequest(asked, how, seed=body["seed"])])))
        text, why = done.text, done.finish_reason
        for stop in body.get("stop", ()):
            before, found, _ = text.partition(stop)
            if found:
                text, why = before + (stop if self.shows else ""), "stop"
        usage = {"completion_tokens": len(self.model.tokenizer.encode(text))}
        return Response(json.dumps({"choices": [{"text": text, "finish_reason": why}], "usage": usage}))


@pytest.fixture(scope="module", params=[True, False], ids=["shows the tag", "swallows the tag"])
def url(request: pytest.FixtureRequest) -> Iterator[str]:
    with generating(LabServer(request.param)) as address:
        yield address


def served(url: str, mode: Decoding) -> Engine:
    options = OpenAiOptions(base_url=url, api="completions", tokenizer=str(base_path()), concurrency=4)
    return make_engine("lab", options, decoding=mode)


def traces(url: str, mode: Decoding, folder: Path) -> list[Trace]:
    asked: list[Prompt] = registry.make("benchmark", "lab-harmful").load()[:3]
    with Store(folder / "c.sqlite") as store:
        return sample_traces(served(url, mode), store, asked, HOW, 2, 0)


def test_a_budget_is_kept(url: str, tmp_path: Path) -> None:
    found = traces(url, Budget(tokens=12), tmp_path)
    assert {t.finish_reason for t in found} <= {"stop", "length"}
    assert {t.thinking_state for t in found} == {"closed"}
    assert max(t.thinking_tokens for t in found) <= 12
    assert all(t.answer for t in found)


def test_thinking_is_gone_on_with(url: str, tmp_path: Path) -> None:
    found = traces(url, MoreThink(rounds=1, words=("Hmm",), tokens=60), tmp_path)
    assert any("Hmm" in t.thinking for t in found)
    assert max(t.thinking_tokens for t in found) <= 60
    assert {t.thinking_state for t in found} == {"closed"}


@pytest.mark.e2e
def test_what_is_forced_is_part_of_the_thinking_and_not_counted(url: str, tmp_path: Path) -> None:
    closed = Prefix(thought=THOUGHT, close=True)
    for trace in traces(url, closed, tmp_path):
        assert (trace.thinking, trace.thinking_state, trace.thinking_tokens) == (THOUGHT, "closed", 0)
    for trace in traces(url, Prefix(thought=THOUGHT, tokens=6), tmp_path):
        assert trace.thinking.startswith("Okay, this is a risk")
    assert any(t.skipped and not t.thinking for t in traces(url, ZeroThink(), tmp_path))


def test_a_chat_server_is_refused() -> None:
    with pytest.raises(RecipeError, match="renders by itself"):
        make_engine("lab", OpenAiOptions(base_url="http://a/v1"), decoding=LessThink())
