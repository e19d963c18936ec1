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
from importlib import import_module
from operator import attrgetter
from typing import Any, NamedTuple, Protocol

import pluggy

from lrmctl.types import Part, Prompt, Score, Trace, Verdict

PROJECT = "lrmctl"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


class LazyFactory(NamedTuple):
    """A factory that is imported when it is first needed, so that listing names loads none of them.

    Attributes:
        target: `package.module:attribute`.
        arguments: where there are any, the attribute is called with them and returns the factory.
    """

    target: str
    arguments: tuple[Any, ...] = ()

    def load(self) -> Callable[..., Any]:
        """The factory.

        Raises:
            ImportError, AttributeError: there is nothing of this name.
            TypeError: it cannot be called.
        """
        module, _, attribute = self.target.partition(":")
        factory: Any = attrgetter(attribute)(import_module(module))
        factory = factory(*self.arguments) if self.arguments else factory
        if not callable(factory):
            raise TypeError(f"the factory {self.target} is not callable")
        return factory  # type: ignore[no-any-return]


Factory = Callable[..., Any] | LazyFactory | str
"""What makes the thing from a recipe's options; or where that is: `package.module:attribute`."""


class Register(Protocol):
    """`register(name, factory, summary=...)`: names are lower-case, words joined by `-` or `_`, `/` or `:` allowed.

    A factory that is named (`"my_package.rewards:Brevity"`) is imported when a recipe needs it; say a summary then.
    """

    def __call__(self, name: str, factory: Factory, *, summary: str = "") -> None: ...


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
