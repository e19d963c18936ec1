"""Static batches of questions whose common prefix is computed once.

Knows token ids and one model. Batches have similar lengths, so that they need little padding; one that does not fit
into memory is halved, and a failure caused by one question is that question's error.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from lrmctl.engines.hf.weights import Weights
from lrmctl.types import FinishReason

if TYPE_CHECKING:
    from lrmctl.engines.checkpoint import EncodedRequest

R = TypeVar("R")
_BATCH = 16


class StaticBatches:
    """Answers questions batch by batch.

    Args:
        weights: its lock is held while the model computes.
        eos: token ids that end a reply.
        pad: token id for left padding of shorter prompts.
        batch_size: most questions per batch; 16 if None.
    """

    def __init__(
        self, weights: Weights, model: Any, eos: Collection[int], pad: int, max_len: int, batch_size: int | None
    ) -> None:
        self._weights, self._model, self._eos, self._pad = weights, model, eos, pad
        self._max_len, self._batch_size = max_len, batch_size or _BATCH

    def replies(self, rows: Sequence[EncodedRequest]) -> list[tuple[tuple[int, ...], FinishReason] | str]:
        """For each row the tokens of its reply, without the end-of-text token, and its finish reason; or the error."""
        return self._all(rows, self._replies)

    def probabilities(self, rows: Sequence[EncodedRequest]) -> list[list[float] | str]:
        """For each row the probabilities of its words; or the error."""
        return self._all(rows, self._probabilities)

    def _all(
        self, rows: Sequence[EncodedRequest], answer: Callable[[Sequence[EncodedRequest]], Sequence[R]]
    ) -> list[R | str]:
        found: list[R | str] = [row.error for row in rows]
        order = sorted((i for i, row in enumerate(rows) if not row.error), key=lambda i: -len(rows[i].ids))
        for start in range(0, len(order), self._batch_size):
            batch = order[start : start + self._batch_size]
            for i, one in zip(batch, self._guarded([rows[i] for i in batch], answer), strict=True):
                found[i] = one
        return found

    def _guarded(
        self, rows: Sequence[EncodedRequest], answer: Callable[[Sequence[EncodedRequest]], Sequence[R]]
    ) -> list[R | str]:
        """Run a batch; in halves if it does not fit into memory, or if one question makes it fail."""
        try:
            with self._weights.computing:
                return [*answer(rows)]
        except Exception as error:  # from torch or the model's own code; one question's error is not the others'
            why = _why(error)
        _free()
        if len(rows) == 1:
            return [f"{why} (a question of {len(rows[0].ids)} tokens, alone)"]
        middle = len(rows) // 2
        return self._guarded(rows[:middle], answer) + self._guarded(rows[middle:], answer)

    def _replies(self, rows: Sequence[EncodedRequest]) -> list[tuple[tuple[int, ...], FinishReason]]:
        from lrmctl.engines.hf.batch_sampler import sample

        sampled = sample(
            self._model,
            [row.ids for row in rows],
            [row.request.sampling for row in rows],
            eos=self._eos,
            pad=self._pad,
            max_len=self._max_len,
            seeds=[row.request.row_seed for row in rows],
            share_prefix=True,
        )
        return [(tuple(i for i in one.ids if i not in self._eos), one.finish_reason) for one in sampled]

    def _probabilities(self, rows: Sequence[EncodedRequest]) -> list[list[float]]:
        from lrmctl.engines.hf.batch_sampler import next_token_probabilities

        table = next_token_probabilities(self._model, [row.ids for row in rows], pad=self._pad)
        return [
            [min(float(line[sorted(ids)].sum()), 1.0) for ids in row.starts]
            for row, line in zip(rows, table, strict=True)
        ]


def _free() -> None:
    import torch

    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def _why(error: Exception) -> str:
    from lrmctl.engines.hf.memory import out_of_memory

    if isinstance(error, ArithmeticError):
        return str(error)
    return "out of memory" if out_of_memory(error) else f"{type(error).__name__}: {error}"
