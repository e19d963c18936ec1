"""The transformers engine: batched sampling from a local checkpoint on CPU or one GPU, and the model's probabilities.

Knows models and tokens, not benchmarks, judges or result files. The weights are loaded at the first batch: an
evaluation whose completions are all stored needs none. transformers' own continuous batching is not used: it has one
seed for all rows, so a sample would depend on the other rows, and on a CPU it is many times slower.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lrmctl.engines.base import Capability, Completion, Engine, GenerationRequest, Rendering
from lrmctl.engines.checkpoint import PLAIN, CheckpointEngine, EncodedRequest
from lrmctl.engines.hf.scheduler import ContinuousBatcher, RunningCompletion
from lrmctl.engines.hf.static import StaticBatches
from lrmctl.engines.hf.weights import Weights
from lrmctl.engines.probabilities import FirstTokenProbabilities, LogLikelihood, TokenStatistics
from lrmctl.engines.stopping import cut
from lrmctl.errors import RecipeError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_GROUP, _QUIET = 0.1, 1.0
"""Seconds between groups of finished rows, and between empty groups."""
_NO_LIMIT = 1 << 30


class HfEngine(CheckpointEngine):
    """Samples from a checkpoint.

    Args:
        model: an HF checkpoint folder; as text also a hub id, `run:NAME` or `lab:tiny`.
        batch_size: completions per batch; affects memory, not results. None fits it to the free memory. Either is
            halved if it turns out too large.
        device: `cpu`, `cuda`, one GPU as `cuda:1`; `auto` uses CUDA if torch sees a GPU.
        dtype: name of a torch dtype; `auto` is float32 on CPU and bfloat16 on CUDA.
        rendering: how messages are rendered, besides the checkpoint's own template.
        trust_remote_code: the Python code in the model's folder may be executed.
        shared: share the weights with the other shared engines of this process that have the same model, device and
            dtype.
    """

    name = "hf"
    capabilities = frozenset[Capability](
        {"first_token_probabilities", "loglikelihood", "token_statistics", "mean_hidden_states"}
    )

    def __init__(
        self,
        model: Path | str,
        *,
        batch_size: int | None = None,
        device: str = "auto",
        dtype: str = "auto",
        rendering: Rendering = PLAIN,
        trust_remote_code: bool = False,
        shared: bool = False,
    ) -> None:
        super().__init__(model, rendering=rendering, trust_remote_code=trust_remote_code)
        self.batch_size = batch_size
        self._device, self._dtype = device, dtype
        self._weights = Weights.shared(model, device, dtype, trust_remote_code) if shared else Weights()
        self._used = 0

    @property
    def identity(self) -> str:
        """Weights and precision, which change what is sampled; batch size and device do so only by rounding."""
        return f"hf:{self.dtype}:{self.fingerprint}"

    @cached_property
    def device(self) -> str:
        import torch

        if self._device == "auto":
            return "cuda" if torch.cuda.is_available() else "cpu"
        return self._device

    @property
    def dtype(self) -> str:
        if self._dtype == "auto":
            return "float32" if self.device == "cpu" else "bfloat16"
        return self._dtype

    @property
    def model(self) -> Any:
        """The loaded model."""
        return self._weights.load(self._load)

    @property
    def max_len(self) -> int:
        """The model's number of positions, prompt and completion together; no limit if its configuration names none."""
        config = self.model.config.get_text_config()
        return int(getattr(config, "max_position_embeddings", None) or _NO_LIMIT)

    @property
    def vocabulary(self) -> int:
        return int(self.model.get_input_embeddings().weight.shape[0])

    def prepare(self) -> None:
        _ = self.model, self.tokenizer

    def release(self) -> None:
        """Free the memory of the weights; the next completion loads them again."""
        from lrmctl.engines.hf.memory import free_cached

        self._weights.drop()
        free_cached()

    def facts(self) -> dict[str, Any]:
        from importlib.metadata import version

        names = ("torch", "transformers")
        return {
            "name": self.name,
            "thinking": self.thinking.describe(),
            "device": self.device,
            "dtype": self.dtype,
            "batch_size": self._used or self.batch_size or "auto",
            "versions": {name: version(name) for name in names},
        }

    def generate(self, requests: Sequence[GenerationRequest]) -> Iterator[list[tuple[int, Completion]]]:
        """Complete all requests; yields finished ones at most every tenth of a second.

        Longest prompts first, so that rows that start together need little padding and running out of memory happens
        early. Questions are batched so that their common prefix, such as a guard's policy, is computed once. A request
        that does not fit into memory even alone gets finish reason `error`.

        Raises:
            ArithmeticError: the model's logits are NaN.
        """
        asked = [i for i, request in enumerate(requests) if request.question]
        if asked:
            yield list(zip(asked, self._replies([requests[i] for i in asked]), strict=True))
        others = [i for i, request in enumerate(requests) if not request.question]
        for some in self._generated([requests[i] for i in others]):
            yield [(others[i], completion) for i, completion in some]

    def first_token_probabilities(
        self, requests: Sequence[GenerationRequest], choices: Sequence[Sequence[str]]
    ) -> list[FirstTokenProbabilities]:
        """See `Engine.first_token_probabilities`. A failure caused by one request is an error of that request only."""
        rows = self.encoded(requests, choices)
        found = self._batches.probabilities(rows)
        return [
            FirstTokenProbabilities(error=row.error, too_long=row.too_long)
            if row.error
            else FirstTokenProbabilities(error=shares)
            if isinstance(shares, str)
            else FirstTokenProbabilities(dict(zip(words, shares, strict=True)))
            for row, words, shares in zip(rows, choices, found, strict=True)
        ]

    def loglikelihood(self, pairs: Sequence[tuple[str, str]]) -> list[LogLikelihood]:
        """See `Engine.loglikelihood`."""
        from lrmctl.engines.hf.loglikelihood import TextScorer

        return TextScorer(self.model, self.tokenizer, self.batch_size).continuations(pairs)

    def rolling_loglikelihood(self, texts: Sequence[str]) -> list[float]:
        """See `Engine.rolling_loglikelihood`."""
        from lrmctl.engines.hf.loglikelihood import TextScorer

        return TextScorer(self.model, self.tokenizer, self.batch_size).whole(texts)

    def token_statistics(
        self, pairs: Sequence[tuple[Sequence[int], Sequence[int]]], *, base: Engine | None = None, top_k: int = 20
    ) -> Iterator[list[tuple[int, TokenStatistics]]]:
        """See `Engine.token_statistics`."""
        from lrmctl.engines.hf.token_statistics import token_statistics

        other = self._base(base) if base is not None else None
        yield from token_statistics(self.model, pairs, pad=self.tokenizer.pad_token_id or 0, base=other, top_k=top_k)

    def mean_hidden_states(
        self, pairs: Sequence[tuple[Sequence[int], Sequence[int]]], layer: int
    ) -> NDArray[np.float32]:
        """See `Engine.mean_hidden_states`."""
        from lrmctl.engines.hf.hidden_states import layers_of, mean_hidden_states

        last = layers_of(self.model)
        if not -last - 1 <= layer <= last:
            raise RecipeError(f"{self.path} has no layer {layer}", "layer", f"say one from 0 to {last}, or -1")
        with self._weights.computing:
            pad = self.tokenizer.pad_token_id or 0
            return mean_hidden_states(self.model, pairs, layer, pad=pad, batch_size=self.batch_size or 16)

    def _base(self, base: Engine) -> Any:
        """The model of another engine.

        Raises:
            RecipeError: its vocabulary is not this model's.
        """
        if not isinstance(base, HfEngine):
            raise RecipeError(f"the engine {base.name!r} cannot be a base here", "engine", "use the engine 'hf'")
        if base.tokenizer.get_vocab() != self.tokenizer.get_vocab() or base.vocabulary != self.vocabulary:
            what = (
                f"{base.path} has another vocabulary than {self.path}, so that their distributions cannot be compared"
            )
            raise RecipeError(
                what, "analysis.base_statistics", "say `base_statistics: false`, or take the model's own base"
            )
        return base.model

    def _load(self) -> Any:
        from lrmctl.engines.hf.attention import group_heads
        from lrmctl.models import load_model

        model = load_model(self.path, dtype=self.dtype, device=self.device)
        group_heads(model)
        return model

    @property
    def _batches(self) -> StaticBatches:
        pad = self.tokenizer.pad_token_id or 0
        return StaticBatches(self._weights, self.model, self._eos, pad, self.max_len, self.batch_size)

    def _replies(self, requests: Sequence[GenerationRequest]) -> list[Completion]:
        """Replies to questions."""
        rows = self.encoded(requests)
        found = self._batches.replies(rows)
        return [
            row.failed if row.error else Completion.failed(said) if isinstance(said, str) else self._cut(r, *said)
            for r, row, said in zip(requests, rows, found, strict=True)
        ]

    def _generated(self, requests: Sequence[GenerationRequest]) -> Iterator[list[tuple[int, Completion]]]:
        if not requests:
            return
        rows = self._rows(requests)
        loop = ContinuousBatcher(
            self.model, size=self._side_by_side(rows), eos=self._eos, pad=self.tokenizer.pad_token_id
        )
        for ended in _in_groups(loop.run(row for row in rows if row.limit), [row for row in rows if not row.limit]):
            self._used, self.running = loop.size, loop.running
            yield [(row.index, c) for row, c in zip(ended, self._completions(requests, ended), strict=True)]
        self.running = ()

    def _rows(self, requests: Sequence[GenerationRequest]) -> list[RunningCompletion]:
        """The requests as rows, longest prompts first, equal prompts side by side."""
        encoded = self.encoded(requests)
        order = sorted(range(len(requests)), key=lambda i: (-len(encoded[i].ids), requests[i].text))
        return [self._row(i, encoded[i]) for i in order]

    def _row(self, index: int, encoded: EncodedRequest) -> RunningCompletion:
        request, ids = encoded.request, encoded.ids
        limit = max(0, min(request.sampling.max_new_tokens, self.max_len - len(ids)))
        row = RunningCompletion(index, ids, request.sampling, request.row_seed, limit, self._watch(request))
        if encoded.error:
            row.limit, row.finish_reason, row.error, row.too_long = 0, "error", encoded.error, encoded.too_long
        return row

    def _side_by_side(self, rows: Sequence[RunningCompletion]) -> int:
        from lrmctl.engines.hf.memory import rows_that_fit

        longest = max(len(row.prompt) + row.limit for row in rows)
        return min(self.batch_size or rows_that_fit(self.model, longest), len(rows))

    def _completions(
        self, requests: Sequence[GenerationRequest], rows: Sequence[RunningCompletion]
    ) -> list[Completion]:
        texts = self._texts([(requests[row.index], row.ids) for row in rows])
        return [self._completion(row, text) for row, text in zip(rows, texts, strict=True)]

    def _completion(self, row: RunningCompletion, text: str) -> Completion:
        if row.finish_reason == "error":
            return Completion.failed(row.error, too_long=row.too_long)
        back = row.watch.cut_before_end if row.watch else None
        if not back:
            return Completion(tuple(row.ids), text, row.finish_reason or "length")
        ids, kept = cut(row.ids, back, self.tokenizer)
        return Completion(tuple(ids), kept, "stop", tokens=len(row.ids))

    @cached_property
    def _eos(self) -> set[int]:
        from lrmctl.models import eos_ids

        return eos_ids(self.model, self.tokenizer)


def _in_groups(
    ended: Iterator[list[RunningCompletion]], at_once: list[RunningCompletion]
) -> Iterator[list[RunningCompletion]]:
    """Finished rows in groups, a tenth of a second apart, since storing each group waits for the disk.

    A group is empty if none has finished for a second, so that the caller can show how far the running rows are.
    """
    group, last = at_once, time.monotonic()
    for some in ended:
        group = group + some
        if time.monotonic() - last >= (_GROUP if group else _QUIET):
            yield group
            group, last = [], time.monotonic()
    if group:
        yield group
