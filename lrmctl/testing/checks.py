"""Contract checks for authors of plugins: call one from a test, it raises `ContractError` or returns nothing.

from lrmctl.testing import check_reward
def test_contract(): check_reward(Brevity(limit=20))
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar, get_args

from lrmctl.errors import LrmctlError
from lrmctl.hooks.specs import Benchmark, Judge, Reward, Source
from lrmctl.lexicons import Lexicon
from lrmctl.testing.contract import check_contract, sample_traces
from lrmctl.thinking import ThinkingFormat, opens_thinking, split_text
from lrmctl.types import Kind, Part, Prompt, Trace, Verdict

__all__ = [
    "ContractError",
    "check_benchmark",
    "check_judge",
    "check_lexicon",
    "check_reward",
    "check_source",
    "check_thinking_format",
    "require",
    "sample_traces",
]

T = TypeVar("T")


class ContractError(AssertionError):
    """A plugin that violates its contract."""


def check_reward(reward: Reward, traces: Sequence[Trace] | None = None) -> None:
    """One `Score` per trace, in order: finite and in the reward's range, missing, or failed. It must not depend on the
    batch, its order, or the number of threads. `lrmctl reward test` reports more, and the latency.
    """
    for check in check_contract(reward, traces):
        require(check.ok, f"{check.name}: {check.found}")


def check_judge(judge: Judge, traces: Sequence[Trace] | None = None) -> None:
    """One `Verdict` per trace, in order, that names its judge; a failed one has no other content."""
    traces = sample_traces() if traces is None else list(traces)
    require(bool(judge.name) and bool(judge.version), "a judge has a name and a version")
    for part in get_args(Part):
        for verdict in _one_each(judge.judge(traces, part), traces, Verdict):
            require(verdict.judge == judge.name, f"the verdict is signed {verdict.judge!r}, not {judge.name!r}")
            require(verdict.part == part, f"asked about {part}, the verdict is about {verdict.part}")
            said = (verdict.safe, verdict.refused, verdict.malformed)
            require(not verdict.failed or said == (None, None, None), "a failed verdict must not say anything")
            probability = verdict.p_unsafe
            require(probability is None or 0 <= probability <= 1, f"p_unsafe is {probability}")
    require(list(judge.judge([], "whole")) == [], "an empty batch must give no verdicts")


def check_benchmark(benchmark: Benchmark) -> None:
    """A named, licensed, fixed list of prompts with unique ids."""
    for field in ("name", "license", "url"):
        require(isinstance(getattr(benchmark, field, None), str), f"a benchmark has a `{field}`")
    prompts = list(benchmark.load())
    check_prompts(prompts)
    require(list(benchmark.load()) == prompts, "loading twice must give the same prompts")


def check_source(source: Source) -> None:
    """Prompts with unique ids, demonstrations or preference pairs; what is not offered raises an `LrmctlError`."""
    offered = 0
    for method in ("prompts", "demonstrations", "pairs"):
        try:
            rows = list(getattr(source, method)())
        except LrmctlError:
            continue
        offered += 1
        check_prompts([row if isinstance(row, Prompt) else row.prompt for row in rows], unique=method == "prompts")
    require(offered > 0, "a source offers `prompts`, `demonstrations` or `pairs`")


def check_thinking_format(form: ThinkingFormat) -> None:
    """Thinking and answer survive a round trip; markers that are only mentioned are text."""
    require(isinstance(form, ThinkingFormat), f"{type(form).__name__} is not a ThinkingFormat")
    require(ThinkingFormat.from_json(form.to_json()) == form, "the format does not survive JSON")
    said = f"Write `{form.open}` first."
    for text, opened, wanted in (
        (f"{form.opening}one two{form.closing}three", False, ("one two", "three", "closed")),
        (f"one two{form.closing}three", True, ("one two", "three", "closed")),
        (f"{form.opening}one two", False, ("one two", "", "unclosed")),
        ("three", False, ("", "three", "absent")),
        (f"{form.opening}one two{form.closing}{said}", False, ("one two", said, "closed")),
    ):
        split = split_text(text, opened=opened, format=form)
        found = (split.thinking, split.answer, split.state)
        require(found == wanted, f"{text!r} is taken apart as {found}, not as {wanted}")
    require(opens_thinking(f"user: hi\nassistant: {form.opening}", form), "a prompt that ends so opens no thought")


def check_lexicon(lexicon: Lexicon) -> None:
    """A named, versioned list that finds each of its own words."""
    require(isinstance(lexicon, Lexicon), f"it is a {type(lexicon).__name__}, not a lrmctl.lexicons.Lexicon")
    require(bool(lexicon.name and lexicon.version and lexicon.source), "a lexicon has a name, a version and a source")
    for word in lexicon.words:
        require(lexicon.count(f"so {word}, then").total() > 0, f"it does not find its own word {word!r}")


def check_prompts(prompts: Sequence[Prompt], unique: bool = True) -> None:
    """Prompts of known kinds that ask something, survive JSON, and have ids of their own."""
    require(bool(prompts), "there are no prompts")
    for prompt in prompts:
        require(prompt.kind in get_args(Kind), f"prompt {prompt.id!r} is of an unknown kind: {prompt.kind!r}")
        require(bool(prompt.messages) and bool(prompt.text), f"prompt {prompt.id!r} asks nothing")
        require(Prompt.from_json(prompt.to_json()) == prompt, f"prompt {prompt.id!r} does not survive JSON")
    ids = [prompt.id for prompt in prompts]
    require(not unique or len(set(ids)) == len(ids), "two prompts have the same id")


def _one_each(found: Sequence[T], traces: Sequence[Trace], kind: type[T]) -> list[T]:
    found = list(found)
    require(len(found) == len(traces), f"{len(found)} results for {len(traces)} traces")
    for one in found:
        require(isinstance(one, kind), f"{type(one).__name__} is not a {kind.__name__}")
    return found


def require(holds: bool, what: str) -> None:
    """Raise a ContractError that says what is wrong, unless it holds."""
    if not holds:
        raise ContractError(what)
