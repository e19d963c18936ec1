"""The traps between a harness and a server: seeds, thinking in a field of its own, one failure. Both are asked."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from recording_server import Answer, serving

from lrmctl.engines.base import Sampling
from lrmctl.engines.factory import make_engine
from lrmctl.engines.store import Store, sample_traces
from lrmctl.evaluation.generate import noted
from lrmctl.reasoning.tasks import reasoning_task
from lrmctl.recipe.schema.engines import OpenAiOptions
from lrmctl.types import Trace

PROMPTS = tuple(reasoning_task("lab_arithmetic").load(6))
Theirs = Callable[..., list[list[str]]]
WARM = {"until": [], "max_gen_toks": 64, "do_sample": True, "temperature": 0.8}
ALL = {"filter_list": [{"name": "all", "filter": [{"function": "take_first_k", "k": 3}]}]}


def through_lm_eval(theirs: Theirs, url: str, **how: Any) -> list[list[str]]:
    from lm_eval.models.openai_completions import LocalChatCompletion

    model = LocalChatCompletion(
        base_url=f"{url}/chat/completions", model="m", num_concurrent=1, max_retries=how.pop("max_retries", 3)
    )
    return theirs(model, kwargs=WARM, **how)


def ours(urls: list[str], folder: Path, samples: int = 1, **options: Any) -> list[Trace]:
    made = OpenAiOptions(base_url=tuple(urls), **options)
    with Store(folder / "c.sqlite") as store:
        return sample_traces(make_engine("m", made), store, PROMPTS, Sampling(0.8, max_new_tokens=64), samples, seed=0)


def by_seed(body: dict[str, Any]) -> dict[str, Any]:
    """A server that honours seeds."""
    return {"content": f"<think>\nluck {body['seed']}\n</think>\n\nThe answer."}


def test_6_every_sample_has_a_seed_of_its_own(theirs: Theirs, tmp_path: Path) -> None:
    with serving(by_seed) as server:
        said = through_lm_eval(theirs, server.url, repeats=3, task=ALL)
        assert {body["seed"] for body in server.seen} == {1234}
        assert all(len(set(repeats)) == 1 for repeats in said)  # avg@3 of one sample
    with serving(by_seed) as server:
        traces = ours([server.url], tmp_path, samples=3)
        assert len({body["seed"] for body in server.seen}) == 18
        assert len({t.thinking for t in traces}) == 18


def apart(_body: dict[str, Any]) -> dict[str, Any]:
    return {"content": "The answer.", "reasoning_content": "some thought"}


def unanswered(_body: dict[str, Any]) -> dict[str, Any]:
    return {"content": None, "reasoning_content": "some thought"}


@pytest.mark.parametrize(("answer", "answered"), [(apart, "The answer."), (unanswered, "")])
def test_7_thinking_in_a_field_of_its_own_is_read(
    answer: Answer, answered: str, theirs: Theirs, tmp_path: Path
) -> None:
    with serving(answer) as server:
        said = [text for text, *_ in through_lm_eval(theirs, server.url)]
        assert all("thought" not in str(text) for text in said)  # the thinking is gone
        traces = ours([server.url], tmp_path)
    state = "closed" if answered else "unclosed"
    assert {(t.thinking, t.answer, t.thinking_state) for t in traces} == {("some thought", answered, state)}


def test_7_one_question_that_cannot_be_answered_does_not_end_the_run(theirs: Theirs, tmp_path: Path) -> None:
    bad = PROMPTS[2].text

    def answer(body: dict[str, Any]) -> dict[str, Any] | int:
        return 500 if body["messages"][-1]["content"] == bad else by_seed({"seed": 0, **body})

    with serving(answer) as server:
        with pytest.raises(Exception, match="500"):
            through_lm_eval(theirs, server.url, max_retries=1)
        traces = ours([server.url], tmp_path, patience=0)
    assert [t.finish_reason for t in traces] == ["stop", "stop", "error", "stop", "stop", "stop"]
    assert "500" in traces[2].error


def test_11_a_server_that_ignores_the_temperature_is_told_of(tmp_path: Path) -> None:
    """As `transformers serve` does unless the model's own configuration samples."""

    def answer(_body: dict[str, Any]) -> dict[str, Any]:
        return {"content": "<think>\nalways this\n</think>\n\nThe answer."}

    notes: list[str] = []
    with serving(answer) as server, warnings.catch_warnings(), noted(notes):
        warnings.simplefilter("default")
        ours([server.url], tmp_path, samples=4)
    assert len(notes) == 1
    assert "ignore temperature" in notes[0]


def test_12_several_servers_share_the_work(tmp_path: Path) -> None:
    """In place of vLLM's data parallelism inside lm-eval, which hangs (lm-evaluation-harness 1734, 2379, 2904)."""
    with serving(by_seed) as one, serving(by_seed) as other:
        traces = ours([one.url, other.url], tmp_path, samples=4, concurrency=2)
        assert len(traces) == 24 == len(one.seen) + len(other.seen)
        assert min(len(one.seen), len(other.seen)) > 0
