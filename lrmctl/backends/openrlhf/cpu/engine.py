"""A CPU rollout engine behind the few vLLM names that OpenRLHF uses; it batches requests that arrive together.

One thread runs the batches with the shared sampler; weight updates take the same lock, so they happen between batches.
The random numbers of each row are derived from the seed, the optimizer step, its prompt and the index of the sample
among those of the prompt: what is sampled depends neither on the order of arrival, nor on how rows were split into
batches, nor on whether the run was interrupted and resumed. Knows nothing of rewards or recipes.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import queue
import threading
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from types import SimpleNamespace
from typing import Any, ClassVar

from lrmctl.backends.openrlhf.cpu.worker import Worker, load_worker
from lrmctl.engines.base import SampledTokens, Sampling

QUIET_PERIOD_S = 0.03
"""Seconds without a new request after which a batch starts, if its size was not announced."""
MAX_WAIT_S = 5.0
"""Seconds without a new request after which a batch starts although announced rows are missing."""
MAX_BATCH = 256


@dataclass(frozen=True)
class AnnouncedBatch:
    """Requests that were dispatched together; `rows` of them are expected."""

    number: int
    rows: int


@dataclass
class SamplingParams:
    """vLLM's class of this name, as far as OpenRLHF uses it; an unknown argument is a TypeError, as in vLLM."""

    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = -1
    max_tokens: int | None = 16
    min_tokens: int = 0
    skip_special_tokens: bool = True
    logprobs: int | None = None
    seed: int | None = None
    wave: AnnouncedBatch | None = field(default_factory=lambda: SamplingParams._wave)

    _wave: ClassVar[AnnouncedBatch | None] = None
    _numbers: ClassVar[Iterator[int]] = count()

    @classmethod
    @contextlib.contextmanager
    def expecting(cls, rows: int | None) -> Iterator[None]:
        """Within this context, new parameters tell the engine how many rows belong together."""
        cls._wave = AnnouncedBatch(next(cls._numbers), rows) if rows else None
        try:
            yield
        finally:
            cls._wave = None

    def sampling(self, max_len: int) -> Sampling:
        """The parameters as lrmctl's own. Raises ValueError for a parameter out of range."""
        return Sampling(
            temperature=self.temperature,
            top_p=self.top_p,
            top_k=max(self.top_k, 0),
            max_new_tokens=max_len if self.max_tokens is None else self.max_tokens,
            min_new_tokens=self.min_tokens,
        )


class AsyncEngineArgs(SimpleNamespace):
    """Whatever OpenRLHF passes; the engine reads `model`, `dtype`, `seed`, `max_model_len`, `worker_extension_cls`."""


@dataclass
class _Request:
    prompt: tuple[int, ...]
    params: SamplingParams
    sampling: Sampling
    seed: int
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[Any]


class AsyncLLMEngine:
    """Generates for any number of concurrent callers."""

    def __init__(self, args: AsyncEngineArgs) -> None:
        self._max_len: int = args.max_model_len
        self._worker: Worker = load_worker(args)
        self._seed: int = args.seed or 0
        self._asked: Counter[tuple[int, ...]] = Counter()
        self._version = self._worker.version
        self._unfinished = 0
        self._inbox: queue.SimpleQueue[_Request] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self.output_processor = SimpleNamespace(get_num_unfinished_requests=lambda: self._unfinished)
        threading.Thread(target=self._serve, name="rollout-engine", daemon=True).start()

    @classmethod
    def from_engine_args(cls, args: AsyncEngineArgs) -> AsyncLLMEngine:
        return cls(args)

    async def generate(
        self, prompt: dict[str, Any], sampling_params: SamplingParams, request_id: str
    ) -> AsyncIterator[SimpleNamespace]:
        """Yield the one, final output. Raises ValueError for an invalid request, and the engine's errors."""
        del request_id
        request = self._request(tuple(prompt["prompt_token_ids"]), sampling_params)
        self._unfinished += 1
        try:
            self._inbox.put(request)
            yield await request.future
        finally:
            self._unfinished -= 1

    async def collective_rpc(self, method: str, args: Sequence[Any] = ()) -> list[Any]:
        """Call a method of the worker between batches."""

        def locked() -> Any:
            with self._lock:
                return getattr(self._worker, method)(*args)

        return [await asyncio.to_thread(locked)]

    async def _nothing(self, *_args: Any, **_options: Any) -> bool:
        return False

    # there is no GPU memory to free, no prefix cache, and updates wait for the running batch anyway
    is_sleeping = sleep = wake_up = reset_prefix_cache = pause_generation = resume_generation = _nothing

    def _request(self, prompt: tuple[int, ...], params: SamplingParams) -> _Request:
        sampling = params.sampling(self._max_len)
        self._worker.check_prompt(prompt, self._max_len)
        loop = asyncio.get_running_loop()
        return _Request(prompt, params, sampling, self._row_seed(prompt, params), loop, loop.create_future())

    def _row_seed(self, prompt: tuple[int, ...], params: SamplingParams) -> int:
        if params.seed is not None:
            return params.seed
        if self._version != self._worker.version:
            self._version = self._worker.version
            self._asked.clear()
        key = (self._seed, self._version, prompt, self._asked[prompt])
        self._asked[prompt] += 1
        return int.from_bytes(hashlib.blake2b(repr(key).encode(), digest_size=8).digest()) >> 1

    def _serve(self) -> None:
        waves = _BatchStarter()
        while True:
            batch = waves.collect(self._inbox)
            try:
                with self._lock:
                    results: Sequence[Any] = self._run(batch)
            except BaseException as error:  # raised in the callers, who decide; the thread goes on
                results = [error] * len(batch)
            for request, result in zip(batch, results, strict=True):
                request.loop.call_soon_threadsafe(_resolve, request.future, result)

    def _run(self, batch: Sequence[_Request]) -> list[SimpleNamespace]:
        # sorted, so that even the rounding of the matrix products does not depend on the order of arrival
        order = sorted(range(len(batch)), key=lambda i: (batch[i].prompt, batch[i].seed))
        rows = [batch[i] for i in order]
        sampled = self._worker.sample(
            [r.prompt for r in rows], [r.sampling for r in rows], [r.seed for r in rows], self._max_len
        )
        results = dict(zip(order, sampled, strict=True))
        return [self._output(batch[i].params, results[i]) for i in range(len(batch))]

    def _output(self, params: SamplingParams, sampled: SampledTokens) -> SimpleNamespace:
        ids = list(sampled.ids)
        text = self._worker.tokenizer.decode(ids, skip_special_tokens=params.skip_special_tokens)
        pairs = zip(ids, sampled.logprobs, strict=True)
        logprobs = [{i: SimpleNamespace(logprob=value)} for i, value in pairs] if params.logprobs is not None else None
        out = SimpleNamespace(token_ids=ids, text=text, finish_reason=sampled.finish_reason, logprobs=logprobs)
        return SimpleNamespace(outputs=[out])


def _resolve(future: asyncio.Future[Any], result: Any) -> None:
    if future.done():  # the caller was cancelled
        return
    if isinstance(result, BaseException):
        future.set_exception(result)
    else:
        future.set_result(result)


class _BatchStarter:
    """Decides when a batch starts: when all announced rows have arrived, else when no new ones come."""

    def __init__(self) -> None:
        self._missing: dict[int, int] = {}
        self._complete = -1  # highest wave that was complete: later turns of its rows are not announced

    def collect(self, inbox: queue.SimpleQueue[_Request]) -> list[_Request]:
        batch = [inbox.get()]
        self._count(batch[0])
        announced = bool(self._missing)
        while len(batch) < MAX_BATCH and not (announced and not self._missing):
            try:
                batch.append(inbox.get(timeout=MAX_WAIT_S if self._missing else QUIET_PERIOD_S))
            except queue.Empty:
                self._missing.clear()
                break
            self._count(batch[-1])
        return batch

    def _count(self, request: _Request) -> None:
        wave = request.params.wave
        if wave is None or wave.number <= self._complete:
            return
        left = self._missing.pop(wave.number, wave.rows) - 1
        if left:
            self._missing[wave.number] = left
        else:
            self._complete = max(self._complete, wave.number)
