"""Contract checks for authors of plugins: call one from a test, it raises `ContractError` or returns nothing.

from lrmctl.hooks.testing import check_reward
def test_contract(): check_reward(Brevity(limit=20))
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeVar, get_args

from lrmctl.errors import LrmctlError
from lrmctl.hooks.specs import Benchmark, Judge, Reward, Source
from lrmctl.types import Kind, Part, Prompt, Score, Trace, Verdict

T = TypeVar("T")


class ContractError(AssertionError):
    """A plugin that does not keep its side."""


def sample_traces() -> list[Trace]:
    """Traces as training and evaluation really produce them: good ones and every way to be odd, of all kinds."""
    traces: list[Trace] = []
    for kind in get_args(Kind):
        prompt = Prompt.user(
            f"contract-{kind}", f"a {kind} question", kind, reference="4" if kind == "reasoning" else None
        )
        traces += [
            Trace(prompt, "2 and 2 make 4.", "The answer is 4.", "closed", thinking_tokens=7, answer_tokens=5),
            Trace(prompt, "2 and 2 make", "", "unclosed", "length", thinking_tokens=5, sample=1),
            Trace(prompt, "", "The answer is 4.", "absent", answer_tokens=5, sample=2),
            Trace(prompt, "", "", "closed", irregular=("empty",), sample=3),
            Trace(prompt, "x" * 5000, "\u00e9\u4e2d\x00", "closed", irregular=("nested",), sample=4),
        ]
    return traces


def check_reward(reward: Reward, traces: Sequence[Trace] | None = None) -> None:
    """One finite, missing or failed `Score` per trace, in order, whatever else is in the batch."""
    traces = sample_traces() if traces is None else list(traces)
    for part in get_args(Part):
        scores = _one_each(reward.score(traces, part), traces, Score)
        for score in scores:
            _require(score.value is None or math.isfinite(score.value), f"{score.value} is not a finite score")
            _require(score.value is None or not score.failed, "a score that failed must have no value")
        backwards = list(reward.score(traces[::-1], part))[::-1]
        _require([s.value for s in backwards] == [s.value for s in scores], "a score depends on the order of the batch")
        alone = [next(iter(reward.score([trace], part))).value for trace in traces]
        _require(alone == [s.value for s in scores], "a score depends on the rest of the batch")
    _require(list(reward.score([], "whole")) == [], "an empty batch must give no scores")


def check_judge(judge: Judge, traces: Sequence[Trace] | None = None) -> None:
    """One `Verdict` per trace, in order, that names its judge; a failed one says nothing else."""
    traces = sample_traces() if traces is None else list(traces)
    _require(bool(judge.name) and bool(judge.version), "a judge has a name and a version")
    for part in get_args(Part):
        for verdict in _one_each(judge.judge(traces, part), traces, Verdict):
            _require(verdict.judge == judge.name, f"the verdict is signed {verdict.judge!r}, not {judge.name!r}")
            _require(verdict.part == part, f"asked about {part}, the verdict is about {verdict.part}")
            said = (verdict.safe, verdict.refused, verdict.malformed)
            _require(not verdict.failed or said == (None, None, None), "a failed verdict must not say anything")
            probability = verdict.p_unsafe
            _require(probability is None or 0 <= probability <= 1, f"p_unsafe is {probability}")
    _require(list(judge.judge([], "whole")) == [], "an empty batch must give no verdicts")


def check_benchmark(benchmark: Benchmark) -> None:
    """A named, licensed, fixed list of prompts with ids of their own."""
    for field in ("name", "license", "url"):
        _require(isinstance(getattr(benchmark, field, None), str), f"a benchmark has a `{field}`")
    prompts = list(benchmark.load())
    _check_prompts(prompts)
    _require(list(benchmark.load()) == prompts, "loading twice must give the same prompts")


def check_source(source: Source) -> None:
    """Prompts with ids of their own, or demonstrations, or both; what is not offered raises an `LrmctlError`."""
    offered = 0
    for method in ("prompts", "demonstrations"):
        try:
            rows = list(getattr(source, method)())
        except LrmctlError:
            continue
        offered += 1
        _check_prompts([row if isinstance(row, Prompt) else row.prompt for row in rows], unique=method == "prompts")
    _require(offered > 0, "a source offers `prompts` or `demonstrations`")


def _check_prompts(prompts: Sequence[Prompt], unique: bool = True) -> None:
    _require(bool(prompts), "there are no prompts")
    for prompt in prompts:
        _require(prompt.kind in get_args(Kind), f"prompt {prompt.id!r} is of an unknown kind: {prompt.kind!r}")
        _require(bool(prompt.messages) and bool(prompt.text), f"prompt {prompt.id!r} asks nothing")
        _require(Prompt.from_json(prompt.to_json()) == prompt, f"prompt {prompt.id!r} does not survive JSON")
    ids = [prompt.id for prompt in prompts]
    _require(not unique or len(set(ids)) == len(ids), "two prompts have the same id")


def _one_each(found: Sequence[T], traces: Sequence[Trace], kind: type[T]) -> list[T]:
    found = list(found)
    _require(len(found) == len(traces), f"{len(found)} results for {len(traces)} traces")
    for one in found:
        _require(isinstance(one, kind), f"{type(one).__name__} is not a {kind.__name__}")
    return found


def _require(holds: bool, what: str) -> None:
    if not holds:
        raise ContractError(what)
