"""An engine whose completions are drawn by several workers, each with the whole model on its own device.

This process renders prompts and knows the tokenizer, and has no weights: it hands out requests in chunks to workers
that are idle, and yields completions as they come. A completion depends on its request only (see `engines.base`), so
what is stored is what one worker would have drawn. Knows neither transformers nor how workers are reached.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from lrmctl.engines.base import Completion, Engine, GenerationRequest, Sampling
from lrmctl.engines.checkpoint import CheckpointEngine
from lrmctl.engines.probabilities import FirstTokenProbabilities, LogLikelihood, TokenStatistics
from lrmctl.engines.spread.chunks import Chunks
from lrmctl.engines.spread.crew import Call, ChildEngine, Crew, Ended, Failed, Message, Rows, Started, show
from lrmctl.thinking import Thinking
from lrmctl.types import Prompt, Trace

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class SpreadEngine(Engine):
    """An engine spread over workers. Concurrent calls wait for each other.

    Completions, first-token probabilities and log-likelihoods come from the workers; statistics and hidden states from
    this process, which loads the model for them after the workers have ended.

    Args:
        kind: the engine of each worker.
        model: a checkpoint's folder; as text also a hub id, `run:NAME` or `lab:tiny`.
        settings: named arguments of `kind` besides the model and `device`; must survive pickling.
        crew: the workers. They start with the first call, no more than its requests can keep busy.
    """

    def __init__(
        self, kind: type[CheckpointEngine], model: Path | str, settings: Mapping[str, Any], crew: Crew
    ) -> None:
        self.name, self.capabilities = kind.name, kind.capabilities
        self.crew = crew
        self._kind, self._model, self._settings = kind, model, dict(settings)
        self._calling = Lock()
        self._started: set[int] = set()
        self._idle: set[int] = set()
        self._busy: set[int] = set()
        self._batch: int | None = self._settings.get("batch_size")
        self._used: int | None = None
        self._loaded = False

    @cached_property
    def local(self) -> Any:
        """The same engine in this process. It loads weights only for what workers do not do."""
        return self._kind(self._model, **self._settings, device=self.crew.device)  # type: ignore[call-arg]

    @property
    def fingerprint(self) -> str:
        return str(self.local.fingerprint)

    @property
    def identity(self) -> str:
        """That of one worker."""
        return str(self.local.identity)

    @property
    def tokenizer(self) -> Any:
        return self.local.tokenizer

    @property
    def control_tokens(self) -> Sequence[str]:  # type: ignore[override]  # read when they are needed
        return self.local.control_tokens  # type: ignore[no-any-return]

    @property
    def thinking(self) -> Thinking:
        """See `Engine.thinking`."""
        return self.local.thinking  # type: ignore[no-any-return]

    def check(self) -> None:
        """See `Engine.check`."""
        self.local.check()

    def prepare(self) -> None:
        """Load the tokenizer; the workers start with the first call."""
        _ = self.tokenizer

    def release(self) -> None:
        """End the workers; the next call starts them again."""
        with self._calling:
            self._stop()
            self._unload()

    def facts(self) -> dict[str, Any]:
        """Those of one worker."""
        told = self.local.facts()
        return {**told, "batch_size": self._used} if self._used else dict(told)

    def render(self, prompt: Prompt) -> str:
        """See `Engine.render`."""
        return str(self.local.render(prompt))

    def request(self, prompt: Prompt, sampling: Sampling, sample: int, seed: int) -> GenerationRequest:
        """See `Engine.request`."""
        return self.local.request(prompt, sampling, sample, seed)  # type: ignore[no-any-return]

    def question(
        self,
        messages: Sequence[Mapping[str, str]],
        max_new_tokens: int,
        *,
        text: str = "",
        prefill: str = "",
        template_args: Mapping[str, Any] | None = None,
    ) -> GenerationRequest:
        """See `Engine.question`."""
        return self.local.question(  # type: ignore[no-any-return]
            messages, max_new_tokens, text=text, prefill=prefill, template_args=template_args
        )

    def trace(self, prompt: Prompt, request: GenerationRequest, completion: Completion) -> Trace:
        """See `Engine.trace`."""
        return self.local.trace(prompt, request, completion)  # type: ignore[no-any-return]

    def generate(self, requests: Sequence[GenerationRequest]) -> Iterator[list[tuple[int, Completion]]]:
        """Complete all requests; yields completions as workers finish them.

        The longest prompts come first. A generator that is left before its end ends the workers.

        Raises:
            LrmctlError: a worker died; what was yielded before is complete.
            ArithmeticError: the model's logits are NaN.
        """
        order = sorted(range(len(requests)), key=lambda i: (-len(requests[i].text), requests[i].text))
        yield from self._spread("generate", order, requests)

    def first_token_probabilities(
        self, requests: Sequence[GenerationRequest], choices: Sequence[Sequence[str]]
    ) -> list[FirstTokenProbabilities]:
        """See `Engine.first_token_probabilities`."""
        return self._in_order("first_token_probabilities", requests, choices)

    def loglikelihood(self, pairs: Sequence[tuple[str, str]]) -> list[LogLikelihood]:
        """See `Engine.loglikelihood`."""
        return self._in_order("loglikelihood", pairs)

    def rolling_loglikelihood(self, texts: Sequence[str]) -> list[float]:
        """See `Engine.rolling_loglikelihood`."""
        return self._in_order("rolling_loglikelihood", texts)

    def token_statistics(
        self, pairs: Sequence[tuple[Sequence[int], Sequence[int]]], *, base: Engine | None = None, top_k: int = 20
    ) -> Iterator[list[tuple[int, TokenStatistics]]]:
        """See `Engine.token_statistics`; computed in this process."""
        other = base._load() if isinstance(base, SpreadEngine) else base
        yield from self._load().token_statistics(pairs, base=other, top_k=top_k)

    def mean_hidden_states(
        self, pairs: Sequence[tuple[Sequence[int], Sequence[int]]], layer: int
    ) -> NDArray[np.float32]:
        """See `Engine.mean_hidden_states`; computed in this process."""
        return self._load().mean_hidden_states(pairs, layer)  # type: ignore[no-any-return]

    def _load(self) -> Any:
        """The engine of this process, whose weights take the place of the workers'."""
        with self._calling:
            self._stop()
            self._loaded = True
        return self.local

    def _unload(self) -> None:
        if self._loaded:
            self.local.release()
            self._loaded = False

    def _stop(self) -> None:
        self.crew.stop()
        self._started.clear()
        self._idle.clear()
        self._busy.clear()

    def _in_order(self, method: str, *columns: Sequence[Any]) -> list[Any]:
        found: dict[int, Any] = {}
        for some in self._spread(method, range(len(columns[0])), *columns):
            found.update(some)
        return [found[i] for i in range(len(columns[0]))]

    def _spread(self, method: str, order: Sequence[int], *columns: Sequence[Any]) -> Iterator[list[tuple[int, Any]]]:
        """Have the workers call a method for all items, in chunks of this order."""
        if not order:
            return
        with self._calling:
            self._unload()
            chunks = Chunks(len(order), self.crew.count, self._batch)
            try:
                self._start(chunks.workers)
                while chunks.left or self._busy:
                    for worker in sorted(self._idle):
                        if some := tuple(order[at] for at in chunks.take()):
                            call = Call(method, some, tuple(tuple(column[i] for i in some) for column in columns))
                            self._send(worker, call)
                    yield from self._received(chunks)
            except BaseException:  # an error, Ctrl-C, or a caller that wants no more: nobody waits for the rest
                self._stop()
                raise

    def _start(self, workers: int) -> None:
        path = self.local.path
        child = ChildEngine(self._kind, path, {**self._settings, "device": self.crew.device})
        for worker in range(workers):
            if worker not in self._started:
                self._started.add(worker)
                self.crew.start(worker, child)

    def _send(self, worker: int, call: Call) -> None:
        self._idle.remove(worker)
        self._busy.add(worker)
        self.crew.send(worker, call)

    def _received(self, chunks: Chunks) -> Iterator[list[tuple[int, Any]]]:
        """What has come, the results before the first error."""
        messages = self.crew.receive()
        error = next((message.error for _, message in messages if isinstance(message, Failed)), None)
        for worker, message in messages:
            self._note(worker, message, chunks)
            if isinstance(message, Rows) and message.found:
                yield message.found
        if error is not None:
            raise error

    def _note(self, worker: int, message: Message, chunks: Chunks) -> None:
        if isinstance(message, Rows | Ended):
            show(message.warned)
        if isinstance(message, Started | Ended):
            self._busy.discard(worker)
            self._idle.add(worker)
        if isinstance(message, Ended) and message.batch_size:
            self._used = max(self._used or 0, message.batch_size)
            chunks.learn(message.batch_size)
