"""Groups the samples of one prompt, which arrive one by one, in any order, without a group id."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

STEP = 2.0**-14
"""Rewards are rounded to multiples of this before the trainer gets them. OpenRLHF sums a group in float32, where eight
times 0.1 is not eight times their mean, and divides the difference by an equally small deviation, so that a group of
equal rewards would have advantages. Sums of 64 multiples of this below 16 are exact.
"""


class RewardReply(NamedTuple):
    """The two numbers of a rollout's reply.

    Attributes:
        reward: used to compute advantages.
        score: used by dynamic filtering; in [0, 1].
    """

    reward: float
    score: float


@dataclass(eq=False)
class SampleGroup:
    """The samples of one prompt that are compared with each other, as far as they have arrived.

    Attributes:
        name: the prompt's id, and the number of this group among those of the prompt, from 1.
        wanted: samples of a complete group; 0 if unknown.
        answers: replies of the samples that were scored.
        totals: lowest and highest reward before normalisation.
        taken: indices of the samples that have arrived, failed ones included.
        seen: number of samples that ever arrived.
        scale: mean and deviation used to normalise its rewards: one pair for all, or equal rewards would differ.
        closed: it was counted.
    """

    name: str
    wanted: int
    answers: list[RewardReply] = field(default_factory=list)
    totals: tuple[float, float] = (float("inf"), float("-inf"))
    taken: set[int] = field(default_factory=set)
    seen: int = 0
    scale: tuple[float, float] | None = None
    closed: bool = False

    def take(self) -> int:
        """Assign the lowest free index to one more sample."""
        self.seen += 1
        if self.wanted < 2:  # no group: every sample is on its own
            return self.seen - 1
        sample = next(i for i in range(len(self.taken) + 1) if i not in self.taken)
        self.taken.add(sample)
        return sample

    @property
    def complete(self) -> bool:
        return (len(self.taken) if self.wanted > 1 else self.seen) == self.wanted

    def scored(self, answer: RewardReply, total: float) -> None:
        if self.wanted > 1:
            self.answers.append(answer)
        self.totals = min(self.totals[0], total), max(self.totals[1], total)

    def release(self, sample: int) -> None:
        """Free the index of a sample that will be sent again."""
        self.taken.discard(sample)

    def mean(self) -> RewardReply | None:
        """Mean over the samples that were scored; None if none was."""
        return mean_answer(self.answers)


def rounded(value: float) -> float:
    """The nearest multiple of `STEP`."""
    return round(value / STEP) * STEP


class GroupMember(NamedTuple):
    """A rollout's group and its index there."""

    group: SampleGroup
    sample: int


class Groups:
    """Numbers the groups of each prompt and the samples in each group, in order of arrival.

    Args:
        samples: size of a group by phase; if 0 or missing, a prompt has one unlimited group.

    Attributes:
        complete, flat: number of complete groups, and of those among them with all rewards equal.
    """

    def __init__(self, samples: Mapping[str, int]) -> None:
        self._samples = samples
        self._open: dict[tuple[str, str, int | None], SampleGroup] = {}
        self._last: dict[str, int] = {}
        self.complete = 0
        self.flat = 0

    def place(self, phase: str, prompt_id: str, row: int | None = None) -> GroupMember:
        """Group and index of the next sample of a prompt.

        Args:
            row: row of the training data, which distinguishes concurrent groups of the same prompt.
        """
        key = (phase, prompt_id, row)
        group = self._open.get(key)
        if group is None or group.complete:
            self._last[prompt_id] = self._last.get(prompt_id, 0) + 1
            name = f"{prompt_id}#{self._last[prompt_id]}"
            group = self._open[key] = SampleGroup(name, self._samples.get(phase, 0))
        return GroupMember(group, group.take())

    def close(self, phase: str, prompt_id: str, row: int | None, group: SampleGroup) -> None:
        """Count and forget a group that is complete and answered."""
        if self._open.get((phase, prompt_id, row)) is group:
            del self._open[phase, prompt_id, row]
        if phase == "train" and group.wanted > 1:
            self.complete += 1
            self.flat += group.totals[1] <= group.totals[0]


def mean_answer(answers: Collection[RewardReply]) -> RewardReply | None:
    """Mean reward and mean score; None if empty. Of equal rewards it is the exact same number, to the last bit."""
    if not answers:
        return None
    return RewardReply(_mean([a.reward for a in answers]), _mean([a.score for a in answers]))


def _mean(values: Sequence[float]) -> float:
    return values[0] if min(values) == max(values) else sum(values) / len(values)
