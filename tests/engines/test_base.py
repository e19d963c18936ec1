"""The base class of engines: what an engine cannot do is refused by name, what it need not do is nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from judge_engines import Scripted

from lrmctl.engines.base import WITH, Completion, Engine, GenerationRequest, Sampling
from lrmctl.engines.hf.engine import HfEngine
from lrmctl.engines.openai.engine import OpenAiEngine
from lrmctl.engines.vllm.engine import VllmEngine
from lrmctl.errors import RecipeError
from lrmctl.judges.query import JudgeReply
from lrmctl.thinking import UNKNOWN
from lrmctl.types import Prompt


class Plain(Scripted):
    """With nothing but what an engine must have."""

    name = "plain"
    first_token_probabilities = Engine.first_token_probabilities  # type: ignore[assignment]


@pytest.fixture
def plain() -> Plain:
    return Plain(JudgeReply("yes"))


@pytest.mark.parametrize(
    "call",
    [
        lambda engine: engine.loglikelihood([("a", "b")]),
        lambda engine: engine.rolling_loglikelihood(["a"]),
        lambda engine: engine.token_statistics([([1], [2])]),
        lambda engine: engine.top_logprobs([([1], [2])], 5),
        lambda engine: engine.first_token_probabilities([], []),
        lambda engine: engine.require("loglikelihood"),
        lambda engine: engine.render(Prompt.user("1", "how?", "harmful")),
    ],
)
def test_what_an_engine_cannot_do_is_refused_and_names_it(plain: Plain, call: Callable[[Engine], Any]) -> None:
    with pytest.raises(RecipeError, match="the engine 'plain'"):
        call(plain)


def test_what_an_engine_need_not_do_is_nothing(plain: Plain) -> None:
    plain.check()
    plain.release()
    prompts = [Prompt.user("1", "how?", "harmful")]
    assert (plain.thinking, plain.parallel, plain.answerable(prompts)) == (UNKNOWN, 1, prompts)
    assert plain.facts() == {"name": "plain"}


def test_the_engines_that_an_error_names_have_the_capability() -> None:
    engines = {engine.name: engine.capabilities for engine in (HfEngine, VllmEngine, OpenAiEngine)}
    for capability, names in WITH.items():
        assert {name for name, has in engines.items() if capability in has} == set(names)


def test_what_a_judge_adds_to_a_request_is_not_part_of_its_key() -> None:
    plain = GenerationRequest("text", Sampling())
    question = GenerationRequest("text", Sampling(), question=True, plain=True)
    assert plain.key("engine") == question.key("engine")
    assert Completion.failed("why", too_long=True).finish_reason == "error"
