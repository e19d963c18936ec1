"""The configuration of the reward service's processes: one frozen value that is sent through a pipe."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from lrmctl.recipe.schema.recipes import RewardSection
from lrmctl.types import Kind

PATIENCE = 170.0
"""Seconds that a rollout may wait for its reward, queue included: OpenRLHF 0.11.2 gives up after 180."""
THREADS = 4
"""Batches that one process scores concurrently, so that those waiting for a judge do not delay the others."""


@dataclass(frozen=True)
class ServiceSpec:
    """Everything that determines what the service answers and writes.

    Attributes:
        section: the recipe's `reward:`.
        rollouts: JSONL file that every rollout is appended to.
        end_tokens: texts of the tokens that end a response.
        attempt: number of this launch, written into each row.
        score_of: the quantity used by dynamic filtering: the whole reward, or one component.
        token: required from callers.
        names: host names by which callers reach this machine, other than its address.
        samples: samples of one prompt that form a group, by phase (`train`, `eval`); 0 if groups are not distinguished.
        baseline: what rewards are compared with when advantages are computed: the other samples of the prompt, or the
            whole step. A failed reward gets the mean of that.
        step: rollouts of a training step; 0 if unknown.
        tokenizer: folder of the policy model, whose tokenizer counts tokens; None leaves them uncounted.
        max_body: bytes of the largest accepted call.
        max_waiting: rollouts that may wait for a reward at once; more are rejected with 503.
        max_reading_bytes: total bytes of incompletely received calls; more are rejected too.
        max_waiting_bytes: total bytes of the calls of waiting rollouts.
        log: file for the output of rewards.
        compared_kinds: prompt kinds with a component that compares the samples of a prompt.
    """

    section: RewardSection
    rollouts: Path
    end_tokens: tuple[str, ...] = ()
    attempt: int = 1
    time_limit: float = 60.0
    score_of: str = "reward"
    token: str = ""
    samples: Mapping[str, int] = field(default_factory=dict)
    baseline: Literal["group", "step"] = "group"
    step: int = 0
    tokenizer: Path | None = None
    max_body: int = 16 * 2**20
    max_reading_bytes: int = 96 * 2**20
    max_waiting: int = 32768
    max_waiting_bytes: int = 2**30
    log: Path | None = None
    names: tuple[str, ...] = ()
    compared_kinds: frozenset[Kind] = frozenset()

    def gathers(self, phase: str, kind: Kind) -> bool:
        """Whether the samples of a prompt are answered together, because their rewards depend on each other."""
        normalised = self.section.normalise == "component-group" and phase == "train"
        return self.samples.get(phase, 0) > 1 and (normalised or kind in self.compared_kinds)
