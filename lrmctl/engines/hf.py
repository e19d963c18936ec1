"""The transformers engine: batched sampling from a local checkpoint on CPU or one GPU.

Knows models and tokens, not benchmarks, judges or files of results. The weights are loaded at the first batch: an
evaluation whose completions are all stored needs none.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

from lrmctl.engines.requests import Completion, Rendering, Request
from lrmctl.errors import LrmctlError
from lrmctl.types import Prompt, Trace

PLAIN = Rendering()


class HfEngine:
    """Samples from the checkpoint in `path`.

    Args:
        path: an HF checkpoint folder.
        batch_size: completions drawn side by side; a matter of memory, not of results.
        device: `cpu`, `cuda`, one GPU as `cuda:1`; `auto` takes CUDA where torch sees a GPU.
        dtype: a torch dtype's name; `auto` is float32 on CPU and bfloat16 on CUDA.
        rendering: how messages become prompts, besides the checkpoint's own template.
    """

    def __init__(
        self,
        path: Path,
        *,
        batch_size: int = 64,
        device: str = "auto",
        dtype: str = "auto",
        rendering: Rendering = PLAIN,
    ) -> None:
        from lrmctl.models import fingerprint

        self.path = Path(path)
        self.batch_size = batch_size
        self.fingerprint = fingerprint(self.path)
        self._device, self._dtype, self._rendering = device, dtype, rendering

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
    def model(self) -> Any:
        from lrmctl.models import load_model

        return load_model(self.path, dtype=self.dtype, device=self.device)

    def render(self, prompt: Prompt) -> str:
        from lrmctl.data.render import render_prompt

        asked = replace(prompt, messages=tuple(self._rendering.messages(prompt)))
        return render_prompt(self.tokenizer, asked, self._rendering.template_args)

    def generate(self, requests: Sequence[Request]) -> Iterator[list[tuple[int, Completion]]]:
        """Complete all requests, longest prompts first, so that batches have little padding and memory fails early."""
        ids = self._encode(requests)
        order = sorted(range(len(requests)), key=lambda i: -len(ids[requests[i].text]))
        for start in range(0, len(order), self.batch_size):
            batch = order[start : start + self.batch_size]
            rows = [requests[i] for i in batch]
            yield list(zip(batch, self._batch(rows, [ids[r.text] for r in rows]), strict=True))

    def trace(self, prompt: Prompt, request: Request, completion: Completion) -> Trace:
        from lrmctl.trace import opens_thinking, trace_from_ids

        return trace_from_ids(
            prompt,
            completion.ids,
            self.tokenizer,
            opened=opens_thinking(request.text),
            finish_reason=completion.finish_reason,
            sample=request.sample,
        )

    def facts(self) -> dict[str, Any]:
        from importlib.metadata import version

        names = ("torch", "transformers")
        return {
            "name": "hf",
            "device": self.device,
            "dtype": self.dtype,
            "batch_size": self.batch_size,
            "versions": {name: version(name) for name in names},
        }

    def _encode(self, requests: Sequence[Request]) -> dict[str, list[int]]:
        """Token ids of each distinct prompt; the chat template has put in every special token already."""
        texts = list(dict.fromkeys(r.text for r in requests))
        if not texts:
            return {}
        return dict(zip(texts, self.tokenizer(texts, add_special_tokens=False)["input_ids"], strict=True))

    def _batch(self, rows: Sequence[Request], ids: Sequence[Sequence[int]]) -> list[Completion]:
        import torch

        from lrmctl.engines.sampler import sample

        if any(r.sampling.stop for r in rows):
            raise LrmctlError("the hf engine ends a completion at the end-of-text token only, not at stop texts")
        try:
            drawn = sample(
                self.model,
                ids,
                [r.sampling for r in rows],
                eos=self._eos,
                pad=self.tokenizer.pad_token_id,
                max_len=self.max_len,
                seeds=[r.row_seed for r in rows],
            )
        except torch.OutOfMemoryError as error:
            what = f"out of memory on {self.device} with {len(rows)} completions side by side"
            raise LrmctlError(what, where=str(self.path), fix="lower `batch_size` or `max_new_tokens`") from error
        kept = [s.ids[:-1] if s.finish_reason == "stop" else s.ids for s in drawn]
        texts = self.tokenizer.batch_decode(kept, skip_special_tokens=False)
        return [Completion(i, t, s.finish_reason) for i, t, s in zip(kept, texts, drawn, strict=True)]

    @cached_property
    def _eos(self) -> set[int]:
        from lrmctl.models import eos_ids

        return eos_ids(self.model, self.tokenizer)

    @property
    def max_len(self) -> int:
        """Tokens of prompt and completion that the model has positions for; no limit if it names none."""
        return int(getattr(self.model.config, "max_position_embeddings", None) or 1 << 30)
