"""Rollouts by group: the samples of one prompt."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence


def members_by_group(keys: Sequence[Hashable]) -> list[list[int]]:
    """Indices of the members of each group, groups in order of their first member."""
    groups: dict[Hashable, list[int]] = {}
    for i, key in enumerate(keys):
        groups.setdefault(key, []).append(i)
    return list(groups.values())


def batches_of_groups(keys: Sequence[Hashable], size: int) -> Iterator[list[int]]:
    """Indices in batches of whole groups: of at most `size` members, unless one group is larger."""
    batch: list[int] = []
    for members in members_by_group(keys):
        if batch and len(batch) + len(members) > size:
            yield batch
            batch = []
        batch = [*batch, *members]
    if batch:
        yield batch
