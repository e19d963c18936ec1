"""The contract with plugins: six hooks, each handed a `register` callback.

A plugin is a distribution with an entry point in the group `lrmctl`; its module implements any of these hooks:

    from lrmctl import hookimpl

    @hookimpl
    def lrmctl_rewards(register):
        register("brevity", Brevity, summary="1 for a short answer, 0 for a long one")

Factories are called with the recipe's `options:` as keyword arguments. Built-ins register in the same way.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import pluggy

from lrmctl.types import Part, Prompt, Score, Trace, Verdict

PROJECT = "lrmctl"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


class Register(Protocol):
    """`register(name, factory, summary=...)`: names are lower-case, words joined by `-` or `_`, `/` or `:` allowed."""

    def __call__(self, name: str, factory: Callable[..., Any], *, summary: str = "") -> None: ...


class Reward(Protocol):
    """Scores traces. Must be safe to call from several threads and return one `Score` per trace, in order."""

    def score(self, traces: Sequence[Trace], part: Part) -> Sequence[Score]: ...


class Judge(Protocol):
    """Judges one part of each trace. One `Verdict` per trace, always; a failure is a verdict with `error` set."""

    name: str
    version: str

    def judge(self, traces: Sequence[Trace], part: Part) -> Sequence[Verdict]: ...


class Benchmark(Protocol):
    """A fixed list of prompts. `license`, `url` and `split` are printed with every result made from it.

    A benchmark may also have `provenance()`, a mapping of JSON values that goes into the result; `kinds`, what its
    prompts are of; and `why_not_here()`, a sentence where it would have to be downloaded first, else an empty one.
    """

    name: str
    license: str
    url: str

    def load(self) -> Sequence[Prompt]: ...


class SftRow(Protocol):
    """One demonstration: a prompt and the thinking and answer to imitate."""

    prompt: Prompt
    thinking: str
    answer: str


class Source(Protocol):
    """Training data: prompts for RL, demonstrations for SFT. A source may offer only one of the two.

    A source may also have `provenance()`, a mapping of JSON values that the run's lock records: licence, url, sha256...
    """

    def prompts(self) -> Sequence[Prompt]: ...

    def demonstrations(self) -> Sequence[SftRow]: ...


@hookspec
def lrmctl_rewards(register: Register) -> None:
    """Register rewards: `register(name, factory)`, factory(**options) -> `Reward`."""


@hookspec
def lrmctl_judges(register: Register) -> None:
    """Register judges: `register(name, factory)`, factory(**options) -> `Judge`."""


@hookspec
def lrmctl_benchmarks(register: Register) -> None:
    """Register benchmarks: `register(name, factory)`, factory(**options) -> `Benchmark`."""


@hookspec
def lrmctl_sources(register: Register) -> None:
    """Register training data: `register(name, factory)`, factory(**options) -> `Source`."""


@hookspec
def lrmctl_thinking_formats(register: Register) -> None:
    """Register formats of thinking: `register(name, factory)`, factory() -> `lrmctl.thinking.ThinkingFormat`."""


@hookspec
def lrmctl_backends(register: Register) -> None:
    """Register training backends: `register(name, factory)`, factory() -> `Backend`."""
