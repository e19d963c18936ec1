"""Questions answered by vLLM in this process. vLLM is imported only when asked.

Questions are encoded here, as for transformers, so that both engines ask the same thing; vLLM gets token ids. It
batches by itself. A model of its own process is better asked with the engine `openai`: it can be on another machine.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import Any

from lrmctl.engines.chat import JudgeQuery, JudgeReply
from lrmctl.engines.encoding import EncodedQuery, Encoder, reserved_tokens
from lrmctl.engines.vllm.model import load_llm
from lrmctl.errors import JudgeError, RecipeError
from lrmctl.recipe.schema.engine_options import VllmOptions
from lrmctl.runs.names import runs_folder


class VllmChat:
    """A checkpoint that answers through `vllm.LLM`.

    Args:
        model: a local folder, a hub id, `run:NAME` or `lab:tiny`.
        device: `auto`, `cuda` or `cpu`: vLLM takes the GPUs that it sees (CUDA_VISIBLE_DEVICES).

    Raises:
        RecipeError: a single GPU was named.
    """

    def __init__(self, model: str, options: VllmOptions, *, device: str = "auto") -> None:
        if device not in ("auto", "cuda", "cpu"):
            fix = "choose GPUs with the environment variable CUDA_VISIBLE_DEVICES, or use the engine hf or openai"
            raise RecipeError(f"the engine 'vllm' cannot be put on {device!r}", "device", fix)
        self._model, self._options = model, options
        self._lock = Lock()
        self._llm: Any = None
        self._encoder: Encoder | None = None

    @property
    def identity(self) -> str:
        return f"vllm:{self._options.dtype}:{self._fingerprint}"

    @property
    def reserved(self) -> tuple[str, ...]:
        with self._lock:
            return reserved_tokens(self._tokenizer)

    def check(self) -> None:
        """Raises LrmctlError if there is no such model, or it has no tokenizer; downloads it if it is the hub's."""
        _ = self.reserved

    def why_not(self, asks: Sequence[JudgeQuery]) -> str:
        with self._lock:
            return Encoder(self._tokenizer, 0).why_not(asks)

    def prepare(self) -> None:
        with self._lock:
            if self._llm is None:
                self._llm = self._loaded()
                self._encoder = Encoder(self._tokenizer, int(self._llm.llm_engine.model_config.max_model_len))

    def ask(self, asks: Sequence[JudgeQuery]) -> list[JudgeReply]:
        """One reply per question, in order.

        Raises:
            LrmctlError: vLLM is not installed, there is no such model, or it cannot be loaded.
        """
        self.prepare()
        assert self._encoder is not None
        rows = self._encoder.rows(asks)
        replies = [JudgeReply(error=row.error, too_long=row.too_long) for row in rows]
        asked = [i for i, row in enumerate(rows) if not row.error]
        for i, reply in zip(asked, self._answers([rows[i] for i in asked]), strict=True):
            replies[i] = reply
        return replies

    @cached_property
    def _path(self) -> Path:
        from lrmctl.models import resolve_model

        return resolve_model(self._model, runs_folder(), trust_remote_code=self._options.trust_remote_code)

    @cached_property
    def _fingerprint(self) -> str:
        from lrmctl.models import fingerprint

        return fingerprint(self._path)

    @cached_property
    def _tokenizer(self) -> Any:
        from lrmctl.models import load_tokenizer

        return load_tokenizer(self._path)

    def _loaded(self) -> Any:
        how = {
            "dtype": self._options.dtype,
            "gpu_memory_utilization": self._options.memory,
            "tensor_parallel_size": self._options.tensor_parallel,
            "max_model_len": self._options.max_len,
            "max_logprobs": max(20, self._options.top_logprobs),
        }
        return load_llm(self._path, "the judge's model", {**how, **self._options.options}, JudgeError)

    def _answers(self, rows: Sequence[EncodedQuery]) -> list[JudgeReply]:
        if not rows:
            return []
        prompts = [{"prompt_token_ids": list(row.ids)} for row in rows]
        with self._lock:  # vllm.LLM is for one thread
            outputs = self._llm.generate(prompts, [self._sampling(row) for row in rows], use_tqdm=False)
        return [_reply(row, output.outputs[0]) for row, output in zip(rows, outputs, strict=True)]

    def _sampling(self, row: EncodedQuery) -> Any:
        from vllm import SamplingParams

        if not row.ask.choices:
            return SamplingParams(temperature=0.0, max_tokens=row.ask.max_new_tokens)
        wanted: dict[str, Any] = {"logprobs": self._options.top_logprobs}
        if "logprob_token_ids" in getattr(SamplingParams, "__annotations__", {}):  # newer: exactly those that count
            wanted = {"logprob_token_ids": sorted(set().union(*row.starts))}
        return SamplingParams(temperature=0.0, max_tokens=1, **wanted)


def _reply(row: EncodedQuery, output: Any) -> JudgeReply:
    if not row.ask.choices:
        return JudgeReply(str(output.text))
    if not output.logprobs:
        return JudgeReply(error="vLLM gave no token probabilities")
    found = probabilities(row, {i: one.logprob for i, one in output.logprobs[0].items()})
    return (
        JudgeReply(probabilities=found) if found else JudgeReply(error="no choice is among the likeliest first tokens")
    )


def probabilities(row: EncodedQuery, logprobs: Mapping[int, float]) -> dict[str, float]:
    """Of each choice of which a first token was seen, in [0, 1].

    Args:
        logprobs: natural-log probability by token id.
    """
    found = {}
    for choice, ids in zip(row.ask.choices, row.starts, strict=True):
        if seen := [logprobs[i] for i in ids if i in logprobs]:
            found[choice] = min(1.0, sum(math.exp(one) for one in seen))
    return found
