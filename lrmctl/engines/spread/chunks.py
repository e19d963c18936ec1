"""How requests are divided into chunks that idle workers take. Knows no engine."""

from __future__ import annotations

_FEWEST = 8
"""Requests for which a worker is started: fewer are a batch that is as fast as a smaller one."""
_BATCHES = 2
"""Batches in a chunk, at least: at its end the batch is not full, until the longest completion has ended."""
_UNKNOWN = 64
"""Completions side by side, as long as no worker has told."""


class Chunks:
    """Indices of requests in chunks: large ones first, smaller ones later, so that the workers end together.

    Args:
        total: number of requests.
        workers: most that may take chunks.
        batch_size: completions side by side in one worker; None if it is not known yet.
    """

    def __init__(self, total: int, workers: int, batch_size: int | None) -> None:
        self.workers = max(1, min(workers, -(-total // _FEWEST)))
        self._next, self._total = 0, total
        self._batch = batch_size

    @property
    def left(self) -> int:
        """Requests that no worker has taken."""
        return self._total - self._next

    def learn(self, batch_size: int | None) -> None:
        """Take note of a worker's batch size."""
        self._batch = max(self._batch or 0, batch_size or 0) or None

    def take(self) -> range:
        """The next chunk; empty if none is left."""
        share = -(-self._total // self.workers)
        size = max(min(share, _BATCHES * (self._batch or _UNKNOWN)), self.left // (2 * self.workers))
        start, self._next = self._next, min(self._total, self._next + size)
        return range(start, self._next)
