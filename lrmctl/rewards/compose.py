"""The reward of a recipe: components weighted, routed by prompt kind and by part, added up.

One component that fails fails its rollouts, not the others. What then happens is not decided here: see `policy`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lrmctl.hooks.specs import Reward
from lrmctl.recipe.schema import Component, RewardSection
from lrmctl.rewards.base import make_reward, score_part
from lrmctl.types import Kind, Part, Score, Trace

KINDS: tuple[Kind, ...] = ("harmful", "benign", "reasoning")


@dataclass(frozen=True)
class Term:
    """One component, made: its reward, and what it is applied to.

    Attributes:
        name: name in the logs.
        kinds: prompt kinds that it applies to.
    """

    name: str
    reward: Reward
    part: Part
    weight: float
    kinds: tuple[Kind, ...]


@dataclass(frozen=True)
class RolloutReward:
    """What a composed reward says of one rollout.

    Attributes:
        total: sum of weight x score over the scores that are there, in recipe order; None if a component failed.
        components: score by component name; a component that does not apply to the prompt's kind is absent.
        weights: weight by component name.
        error: `NAME: the error` of the first component that failed.
    """

    total: float | None
    components: Mapping[str, Score]
    weights: Mapping[str, float]
    error: str = ""

    @property
    def failed_component(self) -> str:
        """Name of the first component that failed."""
        return next((name for name, score in self.components.items() if score.failed), "")

    def metric(self, name: str, otherwise: float) -> float:
        """A component's own value, unweighted; `otherwise` for `reward`, or where the component has none."""
        score = self.components.get(name)
        return score.value if score is not None and score.value is not None else otherwise

    def blame(self, trace: Trace) -> str:
        """Whose fault the failure on this trace is, for the user to read; empty if nothing failed."""
        if not self.error:
            return ""
        name = self.failed_component
        if not name:
            return f"the reward of prompt {trace.prompt.id!r} failed: {self.error}"
        return f"reward {name!r} failed on prompt {trace.prompt.id!r}: {self.components[name].error}"

    def to_json(self) -> dict[str, Any]:
        """Components as `rollouts.jsonl` has them: raw value, weighted value, error."""
        return {name: _score_json(score, self.weights[name]) for name, score in self.components.items()}


class ComposedReward:
    """The `reward:` section of a recipe as something that scores.

    Args:
        section: the recipe's words.

    Raises:
        LrmctlError: a component's name is unknown or its plugin cannot be used with these options.
    """

    def __init__(self, section: RewardSection) -> None:
        self.terms = tuple(_term(component) for component in section.components)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the components, in recipe order."""
        return tuple(term.name for term in self.terms)

    def covers(self, kind: Kind) -> bool:
        """Does any component apply to prompts of this kind? If not, all of their rewards are 0."""
        return any(kind in term.kinds for term in self.terms)

    def score(self, traces: Sequence[Trace]) -> list[RolloutReward]:
        """Rewards of rollouts, in order; never raises."""
        scores: list[dict[str, Score]] = [{} for _ in traces]
        for term in self.terms:
            chosen = [i for i, trace in enumerate(traces) if trace.prompt.kind in term.kinds]
            given = score_part(term.reward, [traces[i] for i in chosen], term.part)
            for i, score in zip(chosen, given, strict=True):
                scores[i][term.name] = score
        weights = {term.name: term.weight for term in self.terms}
        return [_add_up(components, weights) for components in scores]


def _term(component: Component) -> Term:
    when = component.when
    kinds = KINDS if when is None else (when,) if isinstance(when, str) else when
    reward = make_reward(component.use, component.options)
    return Term(component.name or component.use, reward, component.part, component.weight, kinds)


def _add_up(components: Mapping[str, Score], weights: Mapping[str, float]) -> RolloutReward:
    for name, score in components.items():
        if score.failed:
            return RolloutReward(None, components, weights, error=f"{name}: {score.error}")
    present = {name: score.value for name, score in components.items() if score.value is not None}
    total = sum((weights[name] * value for name, value in present.items()), 0.0)
    if not math.isfinite(total):
        return RolloutReward(None, components, weights, error=f"the weighted sum is {total}: look at the weights")
    return RolloutReward(total, components, weights)


def _score_json(score: Score, weight: float) -> dict[str, Any]:
    weighted = None if score.value is None else weight * score.value
    row = {"value": score.value, "weighted": weighted, "error": score.error}
    return {**row, "logs": dict(score.logs)} if score.logs else row
