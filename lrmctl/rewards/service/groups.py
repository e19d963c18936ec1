"""Which samples belong together: the samples of one prompt arrive one by one, in any order, without a word of it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

STEP = 2.0**-14
"""What rewards are rounded to before the trainer gets them: OpenRLHF sums a group in float32, where eight times 0.1 is
not eight times their mean, and divides the difference by a deviation as small: a group of equal rewards would teach.
Sums of 64 multiples of this below 16 are exact."""


class RewardReply(NamedTuple):
    """The two numbers that a rollout's reply has.

    Attributes:
        reward: what advantages are made from.
        score: what dynamic filtering looks at; in [0, 1].
    """

    reward: float
    score: float


@dataclass(eq=False)
class SampleGroup:
    """The samples of one prompt that are compared with each other, as far as they have arrived.

    Attributes:
        name: the prompt's id, and which of its groups this is, from 1.
        wanted: samples of a whole group; 0 if that is not known.
        answers: of the samples that were scored.
        totals: lowest and highest reward before it was normalised.
        taken: indexes of the samples that are there, failed ones too.
        seen: samples that ever came.
        scale: mean and deviation that its rewards are normalised by: one for all, or equal rewards would differ.
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
        """The index of one more sample: the lowest that is free."""
        self.seen += 1
        if self.wanted < 2:  # no group: whatever comes is a sample of its own
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
        """A sample that will come again: its place is free."""
        self.taken.discard(sample)

    def mean(self) -> RewardReply | None:
        """Of the samples that were scored; None if none was."""
        return mean_answer(self.answers)


def rounded(value: float) -> float:
    """The nearest multiple of `STEP`."""
    return round(value / STEP) * STEP


class GroupMember(NamedTuple):
    """A rollout's group and its index there."""

    group: SampleGroup
    sample: int


class Groups:
    """Numbers the groups of each prompt and the samples in each group, by arrival.

    Args:
        samples: size of a group by phase; where it is 0 or missing, a prompt has one group without end.

    Attributes:
        complete, flat: groups whose samples are all there, and those among them whose rewards are all the same.
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
            row: of the training data, which tells two groups of one prompt apart that are under way together.
        """
        key = (phase, prompt_id, row)
        group = self._open.get(key)
        if group is None or group.complete:
            self._last[prompt_id] = self._last.get(prompt_id, 0) + 1
            name = f"{prompt_id}#{self._last[prompt_id]}"
            group = self._open[key] = SampleGroup(name, self._samples.get(phase, 0))
        return GroupMember(group, group.take())

    def close(self, phase: str, prompt_id: str, row: int | None, group: SampleGroup) -> None:
        """A group that is complete and answered: it is counted, and forgotten."""
        if self._open.get((phase, prompt_id, row)) is group:
            del self._open[phase, prompt_id, row]
        if phase == "train" and group.wanted > 1:
            self.complete += 1
            self.flat += group.totals[1] <= group.totals[0]


def mean_answer(answers: Collection[RewardReply]) -> RewardReply | None:
    """Mean reward and mean score; None of nothing. Of equal rewards it is the very same number, to the last bit."""
    if not answers:
        return None
    return RewardReply(_mean([a.reward for a in answers]), _mean([a.score for a in answers]))


def _mean(values: Sequence[float]) -> float:
    return values[0] if min(values) == max(values) else sum(values) / len(values)
