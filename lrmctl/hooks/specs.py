"""The contract with plugins: seven hooks, each handed a `register` callback.

A plugin is a distribution with an entry point in the group `lrmctl`; its module implements any of these hooks:

    from lrmctl import hookimpl

    @hookimpl
    def lrmctl_rewards(register):
        register("brevity", Brevity, summary="1 for a short answer, 0 for a long one")

Factories are called with the recipe's `options:` as keyword arguments. Built-ins register in the same way. What a
factory returns should derive from the base class of its kind, whose optional members have defaults here; of an object
that does not, the defaults are filled in (`lrmctl.hooks.adapt`).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from operator import attrgetter
from typing import Any, NamedTuple, Protocol, runtime_checkable

import pluggy

from lrmctl.errors import RecipeError
from lrmctl.types import Part, Prompt, Score, Trace, Verdict

PROJECT = "lrmctl"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)
UNBOUNDED = (-math.inf, math.inf)
"""The range of a reward that declares none."""


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


@runtime_checkable
class OptionsCheck(Protocol):
    """What a factory may be besides a callable: it refuses values of options before anything is made."""

    def check_options(self, options: Mapping[str, Any]) -> None:
        """Raise a RecipeError for values that the factory does not take."""


class Register(Protocol):
    """`register(name, factory, summary=...)`: names are lower-case, words joined by `-` or `_`, `/` or `:` allowed.

    A factory that is named (`"my_package.rewards:Brevity"`) is imported when a recipe needs it; say a summary then.
    """

    def __call__(self, name: str, factory: Factory, *, summary: str = "") -> None: ...


class Reward(ABC):
    """Scores traces. Must be safe to call from several threads.

    Attributes:
        range: the lowest and the highest score; infinite where nothing is declared.
    """

    range: tuple[float, float] = UNBOUNDED

    def prepare(self) -> None:
        """Load what is slow to load, before the first trace. Nothing by default."""

    @abstractmethod
    def score(self, traces: Sequence[Trace], part: Part) -> Sequence[Score]:
        """One `Score` per trace, in order."""


class Judge(ABC):
    """Judges one part of each trace.

    Attributes:
        name, version: what verdicts are signed with; the version changes with whatever changes a verdict.
        parallel: calls at the same time that it can take.
        cacheable: its verdicts depend on the trace alone, so that they may be remembered.
        says_refusal: whether its verdicts say if an answer refuses; None finds it out by asking, where that is cheap.
    """

    name: str = ""
    version: str = ""
    parallel: int = 1
    cacheable: bool = True
    says_refusal: bool | None = None

    def check(self) -> None:
        """Raise an LrmctlError if it cannot be asked (no such model, no key). Loads nothing. Nothing by default."""

    def prepare(self) -> None:
        """Load what is slow to load, before the first trace. Nothing by default."""

    @abstractmethod
    def judge(self, traces: Sequence[Trace], part: Part) -> Sequence[Verdict]:
        """One `Verdict` per trace, always; a failure is a verdict with `error` set."""


class Benchmark(ABC):
    """A fixed list of prompts. `license`, `url` and `split` are printed with every result made from it.

    Attributes:
        split: the part of a published set; empty if it has none.
        kinds: of its prompts, as far as that is known before they are loaded; empty if it is not.
    """

    name: str
    license: str
    url: str
    split: str = ""
    kinds: Sequence[str] = ()

    @abstractmethod
    def load(self) -> Sequence[Prompt]:
        """The prompts, the same at every call."""

    def provenance(self) -> Mapping[str, Any]:
        """Where the prompts come from, as JSON values that go into the result. Nothing by default."""
        return {}

    def why_not_here(self) -> str:
        """Why it would have to be downloaded first; empty, as by default, if it is on this machine."""
        return ""


class SftRow(Protocol):
    """One demonstration: a prompt and the thinking and answer to imitate."""

    @property
    def prompt(self) -> Prompt: ...

    @property
    def thinking(self) -> str: ...

    @property
    def answer(self) -> str: ...


class Source:
    """Training data: prompts for RL, demonstrations for SFT. A source may offer only one of the two.

    Attributes:
        without_thinking: responses without a thought are right; set where the model does not think.
    """

    without_thinking: bool = False

    def prompts(self) -> Sequence[Prompt]:
        """Prompts for RL.

        Raises:
            RecipeError: it has demonstrations only.
        """
        raise RecipeError(f"the source {type(self).__name__} has no prompts", fix="take another source")

    def demonstrations(self) -> Sequence[SftRow]:
        """Demonstrations for SFT.

        Raises:
            RecipeError: it has prompts only.
        """
        raise RecipeError(f"the source {type(self).__name__} has prompts only", fix="use it under `prompts:`")

    def findings(self) -> Sequence[str]:
        """What `demonstrations` left out and why, in sentences. Nothing by default."""
        return ()

    def provenance(self) -> Mapping[str, Any]:
        """Where the rows come from, as JSON values that the run's lock records. Nothing by default."""
        return {}


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
def lrmctl_lexicons(register: Register) -> None:
    """Register word lists of reflection: `register(name, factory)`, factory() -> `lrmctl.lexicons.Lexicon`."""


@hookspec
def lrmctl_backends(register: Register) -> None:
    """Register training backends: `register(name, factory)`, factory() -> `Backend`."""
