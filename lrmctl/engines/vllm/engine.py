"""Completions by vLLM in this process: token ids in and out, as with transformers.

Requests are queued in vLLM a few batches ahead, and completions are returned as they finish, so that a killed
evaluation loses only those in progress. The model is loaded at the first request that is not in the store. A judge in a
separate process is better served by the engine `openai`: it can run on another machine.
"""

from __future__ import annotations

import gc
import hashlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from itertools import count
from pathlib import Path
from threading import Lock
from typing import Any

from lrmctl.engines.base import Capability, Completion, GenerationRequest, Rendering
from lrmctl.engines.checkpoint import PLAIN, CheckpointEngine, EncodedRequest
from lrmctl.engines.probabilities import FirstTokenProbabilities
from lrmctl.engines.vllm.model import load_llm, sampling_params, shut_down, vllm_version
from lrmctl.recipe.schema.engines import VllmOptions
from lrmctl.thinking import default_format

_AHEAD = 2
"""Batches in vLLM's queue, the running one included."""
_SEEDS = 1 << 31
"""vLLM takes seeds of 64 bits; NumPy, which it seeds too, takes 32."""
_LOGPROBS = 20
"""vLLM's default limit on the number of first tokens returned."""


class VllmEngine(CheckpointEngine):
    """Samples from a checkpoint through `vllm.LLM`.

    Args:
        model: an HF checkpoint folder; as text also a hub id, `run:NAME` or `lab:tiny`.
        batch_size: completions per batch (vLLM's `max_num_seqs`); vLLM's default if None.
        rendering: how messages are rendered, besides the checkpoint's own template.
    """

    name = "vllm"
    capabilities = frozenset[Capability]({"first_token_probabilities"})

    def __init__(
        self,
        model: Path | str,
        options: VllmOptions,
        *,
        batch_size: int | None = None,
        rendering: Rendering = PLAIN,
    ) -> None:
        super().__init__(model, rendering=rendering, trust_remote_code=options.trust_remote_code)
        self._options, self._batch_size = options, batch_size
        self._loaded: Any = None
        self._names = count()
        self._loading, self._running = Lock(), Lock()  # vllm.LLM is not thread-safe

    @property
    def identity(self) -> str:
        """Weights, precision, and further options, since some of them change what is sampled."""
        parts = ["vllm", self._options.dtype, self.fingerprint]
        if given := self._options.options:
            parts.append(hashlib.sha256(json.dumps(given, sort_keys=True, default=str).encode()).hexdigest()[:8])
        return ":".join(parts)

    @property
    def max_len(self) -> int:
        return int(self._llm.llm_engine.model_config.max_model_len)

    @cached_property
    def vocabulary(self) -> int:
        return int(self._llm.llm_engine.model_config.get_vocab_size())

    def prepare(self) -> None:
        """Load the model.

        Raises:
            LrmctlError: vLLM is not installed, there is no such model, or it cannot be loaded.
        """
        _ = self._llm

    def release(self) -> None:
        """Free the memory; the next request loads the model again."""
        with self._running:
            if self._loaded is not None:
                shut_down(self._loaded)
                self._loaded = None
                gc.collect()

    def facts(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "thinking": self.thinking.describe(),
            "dtype": self._options.dtype,
            "batch_size": self._batch_size,
            "tensor_parallel": self._options.tensor_parallel,
            "options": self._options.options,
            "versions": {"vllm": vllm_version()},
        }

    def generate(self, requests: Sequence[GenerationRequest]) -> Iterator[list[tuple[int, Completion]]]:
        """Completions as they finish. A prompt that does not fit or that vLLM rejects gets a completion with an error.

        Raises:
            LrmctlError: vLLM is not installed, or it cannot load the model.
        """
        if not requests:
            return
        engine = self._llm.llm_engine
        waiting = iter(enumerate(requests))
        inside: dict[str, int] = {}
        with self._running:
            try:
                while True:
                    done = self._fill(engine, waiting, inside)
                    if inside:
                        done += self._step(engine, requests, inside)
                    elif not done:
                        return
                    if done:
                        yield done
            finally:
                if inside:  # left early: unfinished requests must not run beside the next ones
                    engine.abort_request(list(inside))

    def first_token_probabilities(
        self, requests: Sequence[GenerationRequest], choices: Sequence[Sequence[str]]
    ) -> list[FirstTokenProbabilities]:
        """See `Engine.first_token_probabilities`."""
        llm = self._llm
        rows = self.encoded(requests, choices)
        found = [FirstTokenProbabilities(error=row.error, too_long=row.too_long) for row in rows]
        asked = [i for i, row in enumerate(rows) if not row.error]
        if asked:
            prompts = [{"prompt_token_ids": list(rows[i].ids)} for i in asked]
            with self._running:
                outputs = llm.generate(prompts, [self._first_token(rows[i]) for i in asked], use_tqdm=False)
            for i, output in zip(asked, outputs, strict=True):
                found[i] = _first_tokens(choices[i], rows[i], output.outputs[0])
        return found

    @property
    def _llm(self) -> Any:
        with self._loading:
            if self._loaded is None:
                given = {
                    "dtype": self._options.dtype,
                    "gpu_memory_utilization": self._options.memory,
                    "tensor_parallel_size": self._options.tensor_parallel,
                    "max_model_len": self._options.max_len,
                }
                given |= {"max_num_seqs": self._batch_size} if self._batch_size else {}
                most = self._options.top_logprobs
                given |= {"max_logprobs": most} if most > _LOGPROBS else {}
                self._loaded = load_llm(self.path, {**given, **self._options.options})
            return self._loaded

    @cached_property
    def _ends(self) -> list[int]:
        """Tokens that end a completion, including the template's end of turn, which vLLM does not know."""
        from lrmctl.models import end_of_text

        texts = end_of_text(self.tokenizer, self.path).all
        return sorted({int(self.tokenizer.convert_tokens_to_ids(text)) for text in texts})

    def _fill(
        self, engine: Any, waiting: Iterator[tuple[int, GenerationRequest]], inside: dict[str, int]
    ) -> list[tuple[int, Completion]]:
        """Fill vLLM's queue; returns the requests that are complete without it."""
        room = _AHEAD * int(engine.vllm_config.scheduler_config.max_num_seqs)
        done: list[tuple[int, Completion]] = []
        while len(inside) + len(done) < room and (following := next(waiting, None)) is not None:
            i, request = following
            name = f"lrmctl-{next(self._names)}"
            known = self._add(engine, name, request)
            if known is None:
                inside[name] = i
            else:
                done.append((i, known))
        return done

    def _add(self, engine: Any, name: str, request: GenerationRequest) -> Completion | None:
        (row,) = self.encoded([request])
        if row.error:
            return row.failed
        if request.sampling.max_new_tokens == 0:
            return Completion((), "", "length")
        try:
            engine.add_request(name, {"prompt_token_ids": list(row.ids)}, self._sampling(request))
        except (ValueError, TypeError) as error:  # an invalid request
            return Completion.failed(f"vLLM refuses the request: {error}")
        return None

    def _step(
        self, engine: Any, requests: Sequence[GenerationRequest], inside: dict[str, int]
    ) -> list[tuple[int, Completion]]:
        done = []
        for output in engine.step():
            if output.finished and output.request_id in inside:
                i = inside.pop(output.request_id)
                done.append((i, self._completion(requests[i], output.outputs[0])))
        return done

    def _completion(self, request: GenerationRequest, output: Any) -> Completion:
        if output.finish_reason not in ("stop", "length"):
            return Completion.failed(f"vLLM broke the completion off: {output.finish_reason}")
        ids, why = list(output.token_ids), output.finish_reason
        if why == "stop" and not isinstance(output.stop_reason, str) and ids:
            ids.pop()  # the end-of-text token
        return self._cut(request, ids, why)

    def _sampling(self, request: GenerationRequest) -> Any:
        s = request.sampling
        given: dict[str, Any] = {}
        if s.end_thinking:
            stop = (self.thinking.format or default_format()).stop
            given = {"stop": [stop], "include_stop_str_in_output": True}
        return sampling_params(
            temperature=0.0 if s.greedy else s.temperature,
            top_p=s.top_p,
            top_k=s.top_k,
            max_tokens=s.max_new_tokens,
            min_tokens=min(s.min_new_tokens, s.max_new_tokens),
            seed=request.row_seed % _SEEDS,
            skip_special_tokens=False,
            stop_token_ids=self._ends,
            **given,
        )

    def _first_token(self, row: EncodedRequest) -> Any:
        from vllm import SamplingParams

        wanted: dict[str, Any] = {"logprobs": self._options.top_logprobs}
        if "logprob_token_ids" in getattr(SamplingParams, "__annotations__", {}):  # newer: exactly the needed tokens
            wanted = {"logprob_token_ids": sorted(set().union(*row.starts))}
        return SamplingParams(temperature=0.0, max_tokens=1, **wanted)


def _first_tokens(words: Sequence[str], row: EncodedRequest, output: Any) -> FirstTokenProbabilities:
    if not output.logprobs:
        return FirstTokenProbabilities(error="vLLM gave no token probabilities")
    found = probabilities(words, row.starts, {i: one.logprob for i, one in output.logprobs[0].items()})
    return FirstTokenProbabilities(found, "" if found else "no choice is among the likeliest first tokens")


def probabilities(
    words: Sequence[str], starts: Sequence[frozenset[int]], logprobs: Mapping[int, float]
) -> dict[str, float]:
    """For each word whose first token was seen, its probability in [0, 1].

    Args:
        starts: for each word, the tokens that it can begin with.
        logprobs: natural-log probability by token id.
    """
    found = {}
    for word, ids in zip(words, starts, strict=True):
        if seen := [logprobs[i] for i in ids if i in logprobs]:
            found[word] = min(1.0, sum(math.exp(one) for one in seen))
    return found
