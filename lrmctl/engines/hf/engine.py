"""The transformers engine: batched sampling from a local checkpoint on CPU or one GPU.

Knows models and tokens, not benchmarks, judges or files of results. The weights are loaded at the first batch: an
evaluation whose completions are all stored needs none. transformers' own continuous batching is not used: it has one
seed for all rows, so that a sample would depend on its neighbours, and on a CPU it is many times slower.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

from lrmctl.engines.hf.scheduler import ContinuousBatcher, RunningCompletion
from lrmctl.engines.requests import Completion, GenerationRequest, LogLikelihood, Rendering, no_room
from lrmctl.engines.stopping import StopWatcher, cut
from lrmctl.errors import LrmctlError
from lrmctl.thinking import Thinking, find_thinking
from lrmctl.types import Prompt, Trace

PLAIN = Rendering()

_GROUP = 0.1
"""Seconds."""


class HfEngine:
    """Samples from the checkpoint in `path`.

    Args:
        path: an HF checkpoint folder.
        batch_size: completions drawn side by side; a matter of memory, not of results. None goes by the memory that
            is free. Either is halved where it turns out too large.
        device: `cpu`, `cuda`, one GPU as `cuda:1`; `auto` takes CUDA where torch sees a GPU.
        dtype: a torch dtype's name; `auto` is float32 on CPU and bfloat16 on CUDA.
        rendering: how messages become prompts, besides the checkpoint's own template.
    """

    def __init__(
        self,
        path: Path,
        *,
        batch_size: int | None = None,
        device: str = "auto",
        dtype: str = "auto",
        rendering: Rendering = PLAIN,
    ) -> None:
        from lrmctl.models import fingerprint

        self.path = Path(path)
        self.batch_size = batch_size
        self.fingerprint = fingerprint(self.path)
        self._device, self._dtype, self._rendering = device, dtype, rendering
        self._used = 0

    @property
    def identity(self) -> str:
        """Weights and precision: both change what is sampled; batch size and device do so only by rounding."""
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

    @cached_property
    def tokenizer(self) -> Any:
        from lrmctl.models import load_tokenizer

        return load_tokenizer(self.path)

    @cached_property
    def thinking(self) -> Thinking:
        """See `Engine.thinking`."""
        return find_thinking(
            self.tokenizer, template_args=self._rendering.template_args, override=self._rendering.thinking
        )

    @cached_property
    def model(self) -> Any:
        from lrmctl.engines.hf.attention import group_heads
        from lrmctl.models import load_model

        model = load_model(self.path, dtype=self.dtype, device=self.device)
        group_heads(model)
        return model

    def render(self, prompt: Prompt) -> str:
        from lrmctl.data.render import render_prompt

        asked = replace(prompt, messages=tuple(self._rendering.messages(prompt)))
        return render_prompt(self.tokenizer, asked, self._rendering.template_args)

    def generate(self, requests: Sequence[GenerationRequest]) -> Iterator[list[tuple[int, Completion]]]:
        """Complete all requests, those that have ended at most every tenth of a second.

        Longest prompts first, so that rows that start together have little padding and memory fails early. A request
        that does not fit into memory even alone comes back with finish reason `error`.

        Raises:
            ArithmeticError: the model's logits are not numbers.
        """
        if not requests:
            return
        rows = self._rows(requests)
        loop = ContinuousBatcher(
            self.model, size=self._side_by_side(rows), eos=self._eos, pad=self.tokenizer.pad_token_id
        )
        for ended in _in_groups(loop.run(row for row in rows if row.limit), [row for row in rows if not row.limit]):
            self._used = loop.size
            yield [(row.index, completion) for row, completion in zip(ended, self._completions(ended), strict=True)]

    def trace(self, prompt: Prompt, request: GenerationRequest, completion: Completion) -> Trace:
        """See `Engine.trace`. What was forced is part of the thinking or answer, but not of their token counts."""
        from lrmctl.engines.to_trace import trace_of

        return trace_of(prompt, request, completion, self.tokenizer, self.thinking)

    def loglikelihood(self, pairs: Sequence[tuple[str, str]]) -> list[LogLikelihood]:
        """See `Scorer`."""
        from lrmctl.engines.hf.loglikelihood import TextScorer

        return TextScorer(self.model, self.tokenizer, self.batch_size).continuations(pairs)

    def rolling_loglikelihood(self, texts: Sequence[str]) -> list[float]:
        """See `Scorer`."""
        from lrmctl.engines.hf.loglikelihood import TextScorer

        return TextScorer(self.model, self.tokenizer, self.batch_size).whole(texts)

    def release(self) -> None:
        """Give the memory of the weights back; the next completion loads them again."""
        from lrmctl.engines.hf.memory import free_cached

        self.__dict__.pop("model", None)
        free_cached()

    def facts(self) -> dict[str, Any]:
        from importlib.metadata import version

        names = ("torch", "transformers")
        return {
            "name": "hf",
            "thinking": self.thinking.describe(),
            "device": self.device,
            "dtype": self.dtype,
            "batch_size": self._used or self.batch_size or "auto",
            "versions": {name: version(name) for name in names},
        }

    def _encode(self, requests: Sequence[GenerationRequest]) -> dict[GenerationRequest, Sequence[int]]:
        """Token ids of each prompt; the chat template has put in every special token already."""
        texts = list(dict.fromkeys(r.text for r in requests if not r.ids))
        encoded = self.tokenizer(texts, add_special_tokens=False)["input_ids"] if texts else []
        known = dict(zip(texts, encoded, strict=True))
        return {r: r.ids or known[r.text] for r in requests}

    def _rows(self, requests: Sequence[GenerationRequest]) -> list[RunningCompletion]:
        """The requests as rows, longest prompts first, equal prompts side by side."""
        ids = self._encode(requests)
        if not all(ids.values()):
            raise LrmctlError("a prompt has no tokens: there is nothing to go on from", where=str(self.path))
        order = sorted(range(len(requests)), key=lambda i: (-len(ids[requests[i]]), requests[i].text))
        return [self._row(i, requests[i], ids[requests[i]]) for i in order]

    def _row(self, index: int, request: GenerationRequest, ids: Sequence[int]) -> RunningCompletion:
        how = request.sampling
        limit = max(0, min(how.max_new_tokens, self.max_len - len(ids)))
        row = RunningCompletion(
            index, ids, how, request.row_seed, limit, StopWatcher.of(request, self.tokenizer, self.thinking.format)
        )
        if why := self._problem(ids) if how.max_new_tokens else "":
            row.limit, row.finish_reason, row.error = 0, "error", why
        return row

    def _problem(self, ids: Sequence[int]) -> str:
        """Why a prompt cannot be gone on from; empty if it can."""
        if len(ids) >= self.max_len:
            return no_room(len(ids), self.max_len)
        if max(ids) >= self._vocabulary:
            return f"the tokenizer has a token {max(ids)} that the model with {self._vocabulary} does not know"
        return ""

    @cached_property
    def _vocabulary(self) -> int:
        return int(self.model.get_input_embeddings().weight.shape[0])

    def _side_by_side(self, rows: Sequence[RunningCompletion]) -> int:
        from lrmctl.engines.hf.memory import rows_that_fit

        longest = max(len(row.prompt) + row.limit for row in rows)
        return min(self.batch_size or rows_that_fit(self.model, longest), len(rows))

    def _completions(self, rows: Sequence[RunningCompletion]) -> list[Completion]:
        texts = self.tokenizer.batch_decode([row.ids for row in rows], skip_special_tokens=False)
        return [self._completion(row, text) for row, text in zip(rows, texts, strict=True)]

    def _completion(self, row: RunningCompletion, text: str) -> Completion:
        if row.finish_reason == "error":
            return Completion((), "", "error", row.error)
        back = row.watch.cut_before_end if row.watch else None
        if not back:
            return Completion(tuple(row.ids), text, row.finish_reason or "length")
        ids, kept = cut(row.ids, back, self.tokenizer)
        return Completion(tuple(ids), kept, "stop", tokens=len(row.ids))

    @cached_property
    def _eos(self) -> set[int]:
        from lrmctl.models import eos_ids

        return eos_ids(self.model, self.tokenizer)

    @property
    def max_len(self) -> int:
        """Tokens of prompt and completion that the model has positions for; no limit if it names none."""
        config = self.model.config.get_text_config()
        return int(getattr(config, "max_position_embeddings", None) or 1 << 30)


def _in_groups(
    ended: Iterator[list[RunningCompletion]], at_once: list[RunningCompletion]
) -> Iterator[list[RunningCompletion]]:
    """Rows that ended, in groups a tenth of a second apart: whoever stores them waits for a disk each time."""
    group, last = at_once, time.monotonic()
    for some in ended:
        group = group + some
        if group and time.monotonic() - last >= _GROUP:
            yield group
            group, last = [], time.monotonic()
    if group:
        yield group
