"""Continuous batching: finished rows make room for waiting ones.

Knows token ids, sampling and memory; no templates, no files. Rows are independent: each has its own parameters and
random numbers, so what it samples does not depend on the other rows (up to the rounding of the model's own matrix
products). When memory runs out, the batch is halved, and the running rows continue where they were.
"""

from __future__ import annotations

import warnings
from collections import deque
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from lrmctl.engines.base import Sampling
from lrmctl.engines.hf.kv_cache import SlotKVCache, StaticBatchCache, joinable
from lrmctl.engines.hf.memory import free_cached, out_of_memory
from lrmctl.engines.hf.token_sampling import BLOCK, BROKEN, BatchSamplingParams, block_of, held_back, sample_tokens
from lrmctl.engines.stopping import StopWatcher

if TYPE_CHECKING:
    import torch
    from torch import Tensor

_JOIN = 8
"""Rows join when this share of the batch is free: a prefill costs about as much as a step of the whole batch."""


@dataclass
class RunningCompletion:
    """One completion in progress.

    Attributes:
        index: the caller's identifier.
        limit: most tokens to sample, end-of-text token included.
        watch: looks for stops in its text.
        ids: sampled so far, without the end-of-text token.
        finish_reason: empty while it runs.
    """

    index: int
    prompt: Sequence[int]
    sampling: Sampling
    seed: int
    limit: int
    watch: StopWatcher | None = None
    ids: list[int] = field(default_factory=list)
    finish_reason: Literal["", "stop", "length", "error"] = ""
    error: str = ""
    too_long: bool = False
    _stream: torch.Generator | None = None
    _block: list[float] = field(default_factory=list)
    _blocks: int = 0

    def uniform(self) -> float:
        """The random number that the next token is sampled with; the same when called again."""
        import torch

        if self._stream is None:
            self._stream = torch.Generator().manual_seed(self.seed)
        while self._blocks <= len(self.ids) // BLOCK:
            self._block, self._blocks = block_of(self._stream).tolist(), self._blocks + 1
        return self._block[len(self.ids) % BLOCK]

    def take(self, token: int, eos: Collection[int]) -> None:
        """Append one token, which may end the completion."""
        if token in eos:
            self.finish_reason = "stop"
            return
        self.ids.append(token)
        if self.watch is not None and self.watch.ends_with(token):
            self.finish_reason = "stop"
        elif len(self.ids) >= self.limit:
            self.finish_reason = "length"


class ContinuousBatcher:
    """Samples rows with one model.

    Args:
        model: a transformers causal LM in eval mode, on any device.
        size: most rows per batch; `size` is lowered when memory runs out.
        eos: token ids that end a completion.
        pad: token id for left padding of shorter prompts.
    """

    def __init__(self, model: Any, *, size: int, eos: Collection[int], pad: int) -> None:
        self.size = size
        self._model, self._eos, self._pad = model, frozenset(eos), pad
        self._running: list[RunningCompletion | None] = []
        self._waiting: deque[RunningCompletion] = deque()
        self._memory: SlotKVCache | StaticBatchCache | None = None
        self._params: BatchSamplingParams | None = None
        self._joins: bool | None = None

    @property
    def running(self) -> list[tuple[int, int]]:
        """Tokens sampled so far, and the limit, of each running row."""
        return [(len(row.ids), row.limit) for row in self._running if row is not None]

    def run(self, rows: Iterable[RunningCompletion]) -> Iterator[list[RunningCompletion]]:
        """Yield the rows that finished after each step, often none.

        Raises:
            ArithmeticError: if the model's logits are NaN.
        """
        import torch

        self._waiting.extend(rows)
        while self._waiting or self._running:
            with torch.inference_mode():
                ended = self._guarded_turn()
            yield ended

    def _guarded_turn(self) -> list[RunningCompletion]:
        try:
            return self._turn()
        except (RuntimeError, MemoryError) as error:  # torch has no class for running out of CPU memory
            if not out_of_memory(error):
                raise
        # outside the handler, which keeps references to the tensors of the failed step
        return self._halve()

    def _turn(self) -> list[RunningCompletion]:
        """Sample the first token of new rows, or one more token of all running rows."""
        free = self.size - sum(row is not None for row in self._running)
        running = free < self.size
        if self._waiting and (not running or (self._joins and free >= max(1, self.size // _JOIN))):
            return self._admit(free)
        return self._step()

    def _admit(self, free: int) -> list[RunningCompletion]:
        if self._joins is None:
            self._joins = joinable(self._model, self._pad)
        coming = [self._waiting.popleft() for _ in range(min(free, len(self._waiting)))]
        if not any(self._running):
            count = len(coming)
            self._running = [None] * count
            self._memory = (
                SlotKVCache(self._model, count, self._pad) if self._joins else StaticBatchCache(self._model, self._pad)
            )
        slots = [i for i, row in enumerate(self._running) if row is None][: len(coming)]
        for slot, row in zip(slots, coming, strict=True):
            self._running[slot] = row
        assert self._memory is not None
        logits = self._memory.start(slots, [[*row.prompt, *row.ids] for row in coming])
        device = logits.device
        self._sample(logits, BatchSamplingParams.of([row.sampling for row in coming], device), coming)
        ended = self._leave()
        self._params = BatchSamplingParams.of(
            [Sampling() if row is None else row.sampling for row in self._running], device
        )
        return ended

    def _step(self) -> list[RunningCompletion]:
        assert self._memory is not None
        assert self._params is not None
        rows = self._running
        tokens = [self._pad if row is None else row.ids[-1] for row in rows]
        logits = self._memory.step(tokens, [row is not None for row in rows])
        self._sample(logits, self._params, rows)
        ended = self._leave()
        self._shrink()
        return ended

    def _sample(self, logits: Tensor, params: BatchSamplingParams, rows: Sequence[RunningCompletion | None]) -> None:
        """Sample one more token of each row, from its logits `[R, V]`."""
        import torch

        broken = logits.sum().isnan()
        held = [row is not None and len(row.ids) < row.sampling.min_new_tokens for row in rows]
        if any(held):
            eos = torch.tensor(sorted(self._eos), device=logits.device)
            logits = held_back(logits, torch.tensor(held, device=logits.device), eos)
        numbers = [0.0 if row is None else row.uniform() for row in rows]
        drawn, _ = sample_tokens(logits, params, torch.tensor(numbers, device=logits.device)[:, None])
        *tokens, nan = torch.cat([drawn[:, 0], broken.long()[None]]).tolist()  # one device sync
        if nan:
            raise ArithmeticError(BROKEN)
        for row, token in zip(rows, tokens, strict=True):
            if row is not None:
                row.take(token, self._eos)

    def _leave(self) -> list[RunningCompletion]:
        ended = [row for row in self._running if row is not None and row.finish_reason]
        self._running = [None if row is None or row.finish_reason else row for row in self._running]
        if not any(self._running):
            self._clear()
        return ended

    def _shrink(self) -> None:
        """Drop empty slots when no row waits for them."""
        live = [i for i, row in enumerate(self._running) if row is not None]
        if not live or (self._waiting and self._joins) or 4 * len(live) > 3 * len(self._running):
            return
        import torch

        assert self._memory is not None
        assert self._params is not None
        self._memory.keep(live)
        self._running = [self._running[i] for i in live]
        self._params = self._params.rows(torch.tensor(live, device=self._params.greedy.device))

    def _halve(self) -> list[RunningCompletion]:
        """After running out of memory: all rows wait again, and fewer are admitted."""
        lost = [row for row in self._running if row is not None]
        self._waiting.extendleft(reversed(lost))
        self._clear()
        free_cached()
        if len(lost) > 1:
            self.size = (len(lost) + 1) // 2
            warnings.warn(
                f"out of memory with {len(lost)} completions side by side: going on with {self.size}", stacklevel=2
            )
            return []
        alone = self._waiting.popleft()
        alone.finish_reason, alone.error = (
            "error",
            f"out of memory at {len(alone.prompt) + len(alone.ids)} tokens, alone",
        )
        return [alone]

    def _clear(self) -> None:
        self._running, self._memory, self._params = [], None, None
