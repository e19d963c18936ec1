"""The composed reward of a recipe. Components are clipped, weighted, routed by prompt kind and by part, summed, then
gated.

total = clip((sum of weight x score) x product of multiplying gates), unless a veto replaces the sum before the clip. A
component that fails, even a gate, fails its own rollouts only. Components that compare the samples of a prompt are
called with whole groups; the others with any traces. How failures are handled is decided in `failure_policy`,
normalisation, which depends on other rollouts, in `normalise` and `component_group`.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Hashable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from lrmctl.hooks.specs import Reward
from lrmctl.recipe.schema.recipes import Component, RewardSection
from lrmctl.rewards.function import make_component
from lrmctl.rewards.grouping import members_by_group
from lrmctl.rewards.scopes import score_group_on, score_on
from lrmctl.rows.prompts import key_of
from lrmctl.types import Kind, Scope, Score, Trace

SLOW = 0.005
"""Seconds per call from which a component gets its own thread."""
Bounds = tuple[float, float]

KINDS: tuple[Kind, ...] = ("harmful", "benign", "reasoning")


@dataclass(frozen=True)
class RewardTerm:
    """One component: its reward, and what it applies to.

    Attributes:
        name: name in the logs.
        kinds: prompt kinds that it applies to.
        clip: lowest and highest score.
        gate: it is not added but multiplies the sum, or replaces it by `otherwise` if it is below `below`.
    """

    name: str
    reward: Reward
    part: Scope
    weight: float
    kinds: tuple[Kind, ...]
    clip: Bounds | None = None
    gate: Literal["multiply", "veto"] | None = None
    below: float = 0.5
    otherwise: float = 0.0

    @property
    def of_group(self) -> bool:
        """Whether it compares the samples of a prompt."""
        return self.reward.of_group


class GroupToScore(NamedTuple):
    """Samples of one prompt, and their scores by the components that compare nothing."""

    traces: Sequence[Trace]
    components: Sequence[Mapping[str, Score]]


@dataclass(frozen=True)
class RolloutReward:
    """The composed reward of one rollout.

    Attributes:
        total: the sum over the available scores, in recipe order, gated and clipped; None if a component failed.
        components: raw score by component name; a component that does not apply to the prompt's kind is absent.
        weights: weight by component name.
        error: `NAME: the error` of the first component that failed.
        weighted: contribution of each available score, clipped and weighted; for a gate, its change to the sum. They
            add up to the total before the section's clip. Without the gates if a component failed.
        normalised: the reward to train on, where that was computed from the whole group (`component-group`).
    """

    total: float | None
    components: Mapping[str, Score]
    weights: Mapping[str, float]
    error: str = ""
    weighted: Mapping[str, float] = field(default_factory=dict)
    normalised: float | None = None

    @property
    def failed_component(self) -> str:
        """Name of the first component that failed."""
        return next((name for name, score in self.components.items() if score.failed), "")

    def metric(self, name: str, otherwise: float) -> float:
        """A component's own value, unweighted; `otherwise` for `reward`, or where the component has none."""
        score = self.components.get(name)
        return score.value if score is not None and score.value is not None else otherwise

    def blame(self, trace: Trace) -> str:
        """Which component failed on this trace and why, for the user; empty if none did."""
        if not self.error:
            return ""
        name = self.failed_component
        if not name:
            return f"the reward of prompt {trace.prompt.id!r} failed: {self.error}"
        return f"reward {name!r} failed on prompt {trace.prompt.id!r}: {self.components[name].error}"

    def to_json(self) -> dict[str, Any]:
        """Components in the format of `rollouts.jsonl`: raw value, weighted value, error."""
        return {name: _score_json(score, self.weighted.get(name)) for name, score in self.components.items()}


class ComposedReward:
    """The `reward:` section of a recipe as a callable reward.

    Args:
        section: the recipe's section.

    Raises:
        LrmctlError: a component's name is unknown or its plugin cannot be used with these options.
    """

    def __init__(self, section: RewardSection) -> None:
        self.terms = tuple(_term(component) for component in section.components)
        self._clip = section.clip
        self._uncovered = section.uncovered
        self._seconds: dict[str, float] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the components, in recipe order."""
        return tuple(term.name for term in self.terms)

    def covers(self, kind: Kind) -> bool:
        """Whether any component is added for prompts of this kind. If not, their rewards are always 0."""
        return kind not in self._uncovered

    @property
    def compared_kinds(self) -> frozenset[Kind]:
        """Prompt kinds with a component that compares the samples of a prompt."""
        return frozenset(kind for term in self.terms if term.of_group for kind in term.kinds)

    def score(self, traces: Sequence[Trace], groups: Sequence[Hashable] | None = None) -> list[RolloutReward]:
        """Rewards of rollouts, in order; never raises. A sample without others gets no score from components that
        compare samples.

        Args:
            groups: the group of each trace; by default samples of the same prompt are one group.
        """
        scored = self.score_alone(traces)
        if not self.compared_kinds or not traces:
            return scored
        keys = [key_of(trace.prompt) for trace in traces] if groups is None else groups
        for members in members_by_group(keys):
            group = GroupToScore([traces[i] for i in members], [scored[i].components for i in members])
            for i, reward in zip(members, self.score_group(group), strict=True):
                scored[i] = reward
        return scored

    def score_alone(self, traces: Sequence[Trace]) -> list[RolloutReward]:
        """Rewards without the components that compare samples, in order; never raises. Components known to be slow are
        called concurrently."""
        if not traces:
            return []
        terms = [term for term in self.terms if not term.of_group]
        slow = [t for t in terms if self._seconds.get(t.name, 0.0) >= SLOW] if len(traces) > 1 else []
        started = {term.name: _in_thread(self._timed, term, traces) for term in slow[1:]}  # one runs in this thread
        scores: list[dict[str, Score]] = [{} for _ in traces]
        here = {term.name: self._timed(term, traces) for term in terms if term.name not in started}
        for term in terms:
            given = started[term.name].result() if term.name in started else here[term.name]
            for i, score in given.items():
                scores[i][term.name] = score
        return [_add_up(components, self.terms, self._clip) for components in scores]

    def score_group(self, group: GroupToScore) -> list[RolloutReward]:
        """Complete rewards of the samples of one prompt, in order; never raises."""
        found = [dict(components) for components in group.components]
        for term in self.terms:
            if term.of_group and len(group.traces) > 1 and group.traces[0].prompt.kind in term.kinds:
                given = score_group_on(term.reward, group.traces, term.part)
                for components, score in zip(found, given, strict=True):
                    components[term.name] = score
        order = [term.name for term in self.terms]
        complete = [{name: scores[name] for name in order if name in scores} for scores in found]
        return [_add_up(components, self.terms, self._clip) for components in complete]

    def _timed(self, term: RewardTerm, traces: Sequence[Trace]) -> dict[int, Score]:
        """Scores, by index, of the traces that the component applies to."""
        chosen = [i for i, trace in enumerate(traces) if trace.prompt.kind in term.kinds]
        if not chosen:
            return {}
        start = time.perf_counter()
        given = score_on(term.reward, [traces[i] for i in chosen], term.part)
        self._seconds[term.name] = time.perf_counter() - start
        return dict(zip(chosen, given, strict=True))


def _in_thread(call: Any, *words: Any) -> Future[dict[int, Score]]:
    """Run the call in a daemon thread, which pools lack: a hung reward must not keep the process from exiting."""
    future: Future[dict[int, Score]] = Future()

    def run() -> None:
        try:
            future.set_result(call(*words))
        except BaseException as error:  # re-raised in the waiting thread
            future.set_exception(error)

    threading.Thread(target=run, name="lrmctl-component", daemon=True).start()
    return future


def _term(component: Component) -> RewardTerm:
    return RewardTerm(
        component.label,
        make_component(component),
        component.part,
        component.weight,
        component.kinds,
        component.clip,
        component.gate,
        component.below,
        component.otherwise,
    )


def _add_up(components: Mapping[str, Score], terms: Sequence[RewardTerm], clip: Bounds | None) -> RolloutReward:
    weights = {term.name: term.weight for term in terms}
    values = {
        term.name: _clipped(score.value, term.clip)
        for term in terms
        if (score := components.get(term.name)) is not None and score.value is not None
    }
    weighted = {term.name: term.weight * values[term.name] for term in terms if term.name in values and not term.gate}
    if failed := next((name for name, score in components.items() if score.failed), ""):
        error = f"{failed}: {components[failed].error}"
        return RolloutReward(None, components, weights, error, weighted)
    total, changes = _gated(sum(weighted.values(), 0.0), values, terms)
    if not math.isfinite(total):
        error = f"the weighted sum is {total}: look at the weights"
        return RolloutReward(None, components, weights, error, weighted)
    return RolloutReward(_clipped(total, clip), components, weights, weighted=weighted | changes)


def _gated(total: float, values: Mapping[str, float], terms: Sequence[RewardTerm]) -> tuple[float, dict[str, float]]:
    """The sum after its gates, multiplying ones first, and the change made by each; the first veto decides."""
    changes: dict[str, float] = {}
    vetoed = False
    for term in sorted((t for t in terms if t.gate and t.name in values), key=lambda t: t.gate == "veto"):
        before, value = total, values[term.name]
        if term.gate == "multiply":
            total *= value
        elif value < term.below and not vetoed:
            total, vetoed = term.otherwise, True
        changes[term.name] = total - before
    return total, changes


def _clipped(value: float, clip: Bounds | None) -> float:
    return value if clip is None else min(clip[1], max(clip[0], value))


def _score_json(score: Score, weighted: float | None) -> dict[str, Any]:
    row = {"value": score.value, "weighted": weighted, "error": score.error}
    return {**row, "logs": dict(score.logs)} if score.logs else row
