"""The base classes of what plugins make: their optional members have defaults, so that a plugin writes only what it is.

An object that does not derive from the base of its kind works too: `lrmctl.hooks.adapt` fills in the defaults.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from lrmctl.errors import RecipeError
from lrmctl.types import Part, Prompt, Score, Trace, Verdict

UNBOUNDED = (-math.inf, math.inf)
"""The range of a reward that declares none."""


class Reward(ABC):
    """Scores traces. Must be thread-safe.

    Attributes:
        range: the lowest and the highest score; infinite if not declared.
        of_group: it compares the samples of a prompt with each other, so that `score_group` is called in place of
            `score`. See `GroupReward`.
    """

    range: tuple[float, float] = UNBOUNDED
    of_group: bool = False

    def prepare(self) -> None:
        """Load what is slow to load, before the first trace. Does nothing by default."""

    @abstractmethod
    def score(self, traces: Sequence[Trace], part: Part) -> Sequence[Score]:
        """One `Score` per trace, in order."""

    def score_group(self, traces: Sequence[Trace], part: Part) -> Sequence[Score]:
        """One `Score` per trace, in order, for the samples of one prompt: two at least, and all of them unless some
        were lost. Called if `of_group` is set. The same as `score` by default."""
        return self.score(traces, part)


class GroupReward(Reward):
    """A reward that compares the samples of one prompt. A sample without others has no score."""

    of_group = True

    @abstractmethod
    def score_group(self, traces: Sequence[Trace], part: Part) -> Sequence[Score]:
        """One `Score` per trace, in order, for the samples of one prompt: two at least."""

    def score(self, traces: Sequence[Trace], part: Part) -> Sequence[Score]:
        """Scores of traces of any prompts: those of one prompt are a group."""
        groups: dict[tuple[Any, ...], list[int]] = {}
        for i, trace in enumerate(traces):
            messages = tuple((m["role"], m["content"]) for m in trace.prompt.messages)
            groups.setdefault((trace.prompt.id, messages), []).append(i)
        scores = [Score()] * len(traces)
        for members in groups.values():
            if len(members) > 1:
                given = self.score_group([traces[i] for i in members], part)
                for i, score in zip(members, given, strict=True):
                    scores[i] = score
        return scores


class Judge(ABC):
    """Judges one part of each trace.

    Attributes:
        name, version: recorded in verdicts; the version changes with everything that changes a verdict.
        parallel: number of concurrent calls that it supports.
        cacheable: its verdicts depend on the trace alone, so that they may be cached.
        says_refusal: whether its verdicts say if an answer refuses; None finds out by a trial call if that is cheap.
    """

    name: str = ""
    version: str = ""
    parallel: int = 1
    cacheable: bool = True
    says_refusal: bool | None = None

    def check(self) -> None:
        """Raise an LrmctlError if it cannot be called (no such model, no key). Loads nothing. Does nothing by
        default."""

    def prepare(self) -> None:
        """Load what is slow to load, before the first trace. Does nothing by default."""

    @abstractmethod
    def judge(self, traces: Sequence[Trace], part: Part) -> Sequence[Verdict]:
        """One `Verdict` per trace, always; a failure is a verdict with `error` set."""


class Benchmark(ABC):
    """A fixed list of prompts. `license`, `url` and `split` are printed with every result made from it.

    Attributes:
        split: the part of a published set; empty if it has none.
        kinds: kinds of its prompts if known before they are loaded; empty otherwise.
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
        """Where the prompts come from, as JSON values that go into the result. Empty by default."""
        return {}

    def unavailable_reason(self) -> str:
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


class PairRow(Protocol):
    """One preference pair: a prompt with a better and a worse response, each its thinking and its answer.

    Attributes:
        prefix: what both thoughts begin with and what is not trained on; empty if they share nothing.
    """

    @property
    def prompt(self) -> Prompt: ...

    @property
    def chosen(self) -> tuple[str, str]: ...

    @property
    def rejected(self) -> tuple[str, str]: ...

    @property
    def prefix(self) -> str: ...


class Source:
    """Training data: prompts for RL, demonstrations for SFT, pairs for preferences. A source may offer only one.

    Attributes:
        without_thinking: responses without thinking are valid; set if the model does not think.
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

    def pairs(self) -> Sequence[PairRow]:
        """Pairs for preference training.

        Raises:
            RecipeError: it has none.
        """
        raise RecipeError(f"the source {type(self).__name__} has no preference pairs", fix="take another source")

    def findings(self) -> Sequence[str]:
        """What `demonstrations` or `pairs` left out and why, as sentences. Empty by default."""
        return ()

    def provenance(self) -> Mapping[str, Any]:
        """Where the rows come from, as JSON values that the run's lock records. Empty by default."""
        return {}


class TrackedRun(NamedTuple):
    """A run as trackers know it.

    Attributes:
        recipe: resolved; empty for an evaluation of a model that is no run.
        attempt: from 1; a resumed run has a higher one.
        say: tells the user a sentence, e.g. where the run is kept.
    """

    name: str
    folder: Path
    recipe: Mapping[str, Any]
    attempt: int
    say: Callable[[str], None]


class Tracker:
    """Hears what happens in a run; every method does nothing by default.

    One object hears one command, in one thread of its own: `run_started` or `run_resumed` first, `finished`, `failed`
    or `left` last. What a method raises is told once, and ends the tracker and not the run.
    """

    def run_started(self, run: TrackedRun) -> None:
        """A training begins, or goes on after an interruption (`attempt` above 1)."""

    def run_resumed(self, run: TrackedRun) -> None:
        """A command about a run that was trained before begins, e.g. its evaluation."""

    def step(self, step: int, metrics: Mapping[str, float]) -> None:
        """A training step, from 1, with its metrics as in `metrics.jsonl`."""

    def rollouts(self, step: int, rows: Sequence[Mapping[str, Any]]) -> None:
        """Rollouts since the step before, as in `rollouts.jsonl`."""

    def evaluated(self, summary: Mapping[str, Any], variant: str) -> None:
        """An evaluation, as in `summary.json`; `variant` is empty for the run's own."""

    def analysed(self, found: Mapping[str, Any]) -> None:
        """An analysis: what was written, by name."""

    def finished(self, model: Path) -> None:
        """The training is done; `model` is the folder of the final model."""

    def failed(self, error: str) -> None:
        """The training failed or was interrupted."""

    def left(self) -> None:
        """The command that `run_resumed` began is over."""
