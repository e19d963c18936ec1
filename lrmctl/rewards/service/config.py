"""What the processes of the reward service are told: one frozen value that travels through a pipe."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from lrmctl.recipe.schema.recipes import RewardSection

PATIENCE = 170.0
"""Seconds that a rollout may wait for its reward, queue included: OpenRLHF 0.11.2 gives up after 180."""
THREADS = 4
"""Batches that one process scores at a time, so that those which wait for a judge do not hold up the others."""


@dataclass(frozen=True)
class ServiceSpec:
    """Everything that decides what the service answers and writes.

    Attributes:
        section: the recipe's `reward:`.
        rollouts: JSONL file that every rollout is appended to.
        end_tokens: texts of the tokens that end a response.
        attempt: number of this launch, written into each row.
        score_of: what dynamic filtering looks at: the whole reward, or one component.
        token: who calls must know it.
        names: by which callers call this machine, other than by its address.
        samples: samples of one prompt that form a group, by phase (`train`, `eval`); groups are not told apart
            where it is 0.
        baseline: what a reward is compared with when advantages are made of it: the other samples of its prompt, or
            the whole step. A failed reward gets the mean of that.
        step: rollouts of a training step; 0 if that is not known.
        tokenizer: folder of the model that answers, whose tokenizer counts tokens; None leaves them uncounted.
        max_body: bytes of the largest call that is read.
        max_waiting: rollouts that may wait for a reward at once; more are turned away with 503.
        max_reading_bytes: bytes of calls of which the end has not come yet; more are turned away too.
        max_waiting_bytes: and the most that their calls may weigh together.
        log: file that takes what rewards print.
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
