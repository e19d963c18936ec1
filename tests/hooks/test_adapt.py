"""A plugin's object that derives from nothing works like one that does; one without its method is refused."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from lrmctl.errors import PluginError
from lrmctl.hooks.adapt import adapted
from lrmctl.hooks.specs import UNBOUNDED, Benchmark, Judge, Reward, Source
from lrmctl.types import Part, Prompt, Score, Trace, Verdict


class PlainJudge:
    name, version, own = "plain", "1", "of its own"

    def __init__(self) -> None:
        self.prepared = 0

    def prepare(self) -> None:
        self.prepared += 1

    def judge(self, traces: Sequence[Trace], part: Part) -> list[Verdict]:
        return [Verdict(self.name, self.version, part, safe=True) for _ in traces]


class PlainReward:
    def score(self, traces: Sequence[Trace], part: Part) -> list[Score]:  # noqa: ARG002
        return [Score(1.0) for _ in traces]


class PlainBenchmark:
    name, license, url = "plain", "MIT", "here"

    def load(self) -> list[Prompt]:
        return [Prompt.user("1", "how?", "harmful")]


class PlainSource:
    def prompts(self) -> list[Prompt]:
        return [Prompt.user("1", "how?", "harmful")]


def test_what_an_object_has_is_its_own_and_the_rest_is_the_default() -> None:
    plain = PlainJudge()
    judge = adapted("judge", plain)
    assert isinstance(judge, Judge)
    judge.check()
    judge.prepare()
    assert (plain.prepared, judge.parallel, judge.cacheable, judge.name, judge.own) == (
        1,
        1,
        True,
        "plain",
        "of its own",
    )
    reward = adapted("reward", PlainReward())
    reward.prepare()
    assert isinstance(reward, Reward)
    assert reward.range == UNBOUNDED
    benchmark = adapted("benchmark", PlainBenchmark())
    assert isinstance(benchmark, Benchmark)
    assert (benchmark.unavailable_reason(), dict(benchmark.provenance()), benchmark.split) == ("", {}, "")
    assert len(benchmark.load()) == 1
    source = adapted("source", PlainSource())
    assert isinstance(source, Source)
    source.without_thinking = True
    assert (len(source.prompts()), list(source.findings())) == (1, [])


def test_an_object_of_the_base_stays_itself() -> None:
    class Own(Reward):
        def score(self, traces: Sequence[Trace], part: Part) -> list[Score]:  # noqa: ARG002
            return []

    own = Own()
    assert adapted("reward", own) is own


@pytest.mark.parametrize(
    ("group", "told"),
    [
        ("judge", "a judge has a method `judge`"),
        ("reward", "a reward has a method `score`"),
        ("benchmark", "a benchmark has a method `load`"),
        ("source", "a source has a method `prompts` or `demonstrations` or `pairs`"),
    ],
)
def test_an_object_without_its_method_is_refused_in_one_sentence(group: str, told: str) -> None:
    made: Any = object()
    with pytest.raises(PluginError, match="and object has none") as caught:
        adapted(group, made)
    assert told in str(caught.value)
