"""Which samples belong together: the samples of one prompt arrive one by one, in any order, without a word of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass
class _Open:
    """A group that is not complete yet."""

    number: int
    size: int = 0
    lowest: float = float("inf")
    highest: float = float("-inf")


class Groups:
    """Numbers the groups of each prompt and the samples in each group, by arrival.

    Args:
        samples: size of a group by phase; where it is 0 or missing, a prompt has one group without end.

    Attributes:
        complete, flat: groups whose samples are all there, and those among them whose rewards are all the same.
    """

    def __init__(self, samples: Mapping[str, int]) -> None:
        self._samples = samples
        self._open: dict[tuple[str, str], _Open] = {}
        self._last: dict[str, int] = {}
        self.complete = 0
        self.flat = 0

    def place(self, phase: str, prompt_id: str, total: float | None) -> tuple[str, int]:
        """Group and index of the next sample of a prompt.

        Args:
            total: its reward; None if it failed.
        """
        key = (phase, prompt_id)
        group = self._open.get(key)
        if group is None:
            self._last[prompt_id] = self._last.get(prompt_id, 0) + 1
            group = self._open[key] = _Open(self._last[prompt_id])
        sample, group.size = group.size, group.size + 1
        if total is not None:
            group.lowest, group.highest = min(group.lowest, total), max(group.highest, total)
        if group.size == self._samples.get(phase, 0):
            self._close(key, group)
        return f"{prompt_id}#{group.number}", sample

    def _close(self, key: tuple[str, str], group: _Open) -> None:
        del self._open[key]
        if key[0] == "train" and group.size > 1:
            self.complete += 1
            self.flat += group.highest <= group.lowest
