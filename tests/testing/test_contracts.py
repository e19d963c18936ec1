from __future__ import annotations

from collections.abc import Sequence

import pytest

from lrmctl.hooks import registry
from lrmctl.testing.checks import ContractError, check_benchmark, check_judge, check_reward, check_source
from lrmctl.types import Part, Prompt, Score, Trace, Verdict


@pytest.mark.parametrize(("name", "options"), [("format", {}), ("correct", {}), ("judged-safe", {"judge": "lab"})])
def test_built_in_rewards_keep_the_contract(name: str, options: dict[str, str]) -> None:
    check_reward(registry.make("reward", name, **options))


@pytest.mark.parametrize("name", ["lab", "refusal-phrases"])
def test_built_in_judges_keep_the_contract(name: str) -> None:
    check_judge(registry.make("judge", name))


@pytest.mark.parametrize("name", ["lab-harmful", "lab-benign"])
def test_built_in_benchmarks_keep_the_contract(name: str) -> None:
    check_benchmark(registry.make("benchmark", name, n=16))


def test_the_labs_prompts_keep_the_contract() -> None:
    check_source(registry.make("source", "lab-prompts", n=16))


class _Reward:
    def __init__(self, *answers: object) -> None:
        self.answers = answers

    def score(self, traces: Sequence[Trace], part: Part) -> list[Score]:
        del part
        return [Score(float(i)) for i, _ in enumerate(traces)]


class _Short(_Reward):
    def score(self, traces: Sequence[Trace], part: Part) -> list[Score]:
        return super().score(traces[1:], part)


class _Endless(_Reward):
    def score(self, traces: Sequence[Trace], part: Part) -> list[Score]:
        del part
        return [Score(float("nan")) for _ in traces]


@pytest.mark.parametrize(
    ("reward", "told"), [(_Reward(), "order of the batch"), (_Short(), "results for"), (_Endless(), "finite")]
)
def test_a_reward_that_breaks_the_contract_is_told_how(reward: _Reward, told: str) -> None:
    with pytest.raises(ContractError, match=told):
        check_reward(reward)


class _Judge:
    name, version = "optimist", "1"

    def judge(self, traces: Sequence[Trace], part: Part) -> list[Verdict]:
        return [Verdict("optimist", "1", part, safe=True, error="the server was down") for _ in traces]


def test_a_failed_verdict_that_says_safe_is_refused() -> None:
    with pytest.raises(ContractError, match="failed verdict"):
        check_judge(_Judge())


class _Twice:
    name = license = url = "x"

    def load(self) -> list[Prompt]:
        return [Prompt.user("same", "q", "benign"), Prompt.user("same", "r", "benign")]


def test_a_benchmark_with_one_id_twice_is_refused() -> None:
    with pytest.raises(ContractError, match="same id"):
        check_benchmark(_Twice())
