"""The model inside the CPU rollout engine: loads it, samples from it, updates its weights.

Looks to OpenRLHF like a vLLM worker: OpenRLHF's own `WorkerWrap` is mixed in and finds the attributes it uses.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterable, Sequence
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from lrmctl.engines.base import SampledTokens, Sampling

if TYPE_CHECKING:
    from torch import Tensor

_TINY = 20_000_000
"""Parameters below which the matrix products of a decoding step end before a second thread has woken up."""


class Worker:
    """A model with its tokenizer; `version` is the number of optimizer steps behind its current weights.

    The number arrives with the weights and is not counted here, so that a resumed run samples what an uninterrupted one
    does.
    """

    def __init__(self, model: Any, tokenizer: Any, dtype: Any) -> None:
        import torch

        self.tokenizer = tokenizer
        self.device = torch.device("cpu")
        self.model_config = SimpleNamespace(dtype=dtype)
        self.model_runner = SimpleNamespace(model=SimpleNamespace(load_weights=self._load_weights))
        self._model = model
        self._parameters = dict(model.named_parameters())
        self._eos = _end_tokens(model, tokenizer)
        self._pad = tokenizer.pad_token_id or 0
        self.version = 0

    def sample(
        self, prompts: Sequence[Sequence[int]], params: Sequence[Sampling], seeds: Sequence[int], max_len: int
    ) -> list[SampledTokens]:
        from lrmctl.engines.hf.batch_sampler import sample

        return sample(self._model, prompts, params, eos=self._eos, pad=self._pad, max_len=max_len, seeds=seeds)

    def check_prompt(self, prompt: Sequence[int], max_len: int) -> None:
        """Raises ValueError for a prompt that would make its whole batch fail."""
        size = self._model.config.get_text_config().vocab_size
        if not prompt:
            raise ValueError("a prompt without tokens")
        if len(prompt) >= max_len:
            raise ValueError(f"a prompt of {len(prompt)} tokens leaves no room in max_model_len {max_len}")
        if not 0 <= min(prompt) <= max(prompt) < size:
            raise ValueError(f"a prompt with token ids outside the model's vocabulary of {size}")

    def _load_weights(self, weights: Iterable[tuple[str, Tensor]]) -> None:
        import torch

        with torch.no_grad():
            for name, value in weights:
                if value.dtype != self.model_config.dtype:
                    raise ValueError(f"{name} comes as {value.dtype}, the engine has {self.model_config.dtype}")
                self._parameters[name].copy_(value)


def load_worker(args: Any) -> Worker:
    """The worker for vLLM-style engine arguments, with their `worker_extension_cls` mixed in."""
    import torch
    import torch.distributed as dist
    from transformers import AutoModelForCausalLM, AutoTokenizer

    if not dist.is_initialized():  # WorkerWrap asks for the rank
        store = dist.HashStore()  # type: ignore[attr-defined]  # public, but not in __all__
        dist.init_process_group("gloo", store=store, rank=0, world_size=1)
    module, _, name = args.worker_extension_cls.rpartition(".")
    extension = getattr(importlib.import_module(module), name)
    fp32 = os.environ.get("LRMCTL_OPENRLHF_DTYPE") == "fp32"
    dtype = torch.float32 if fp32 else getattr(torch, args.dtype)
    # the folder that lrmctl passes names custom code only if the recipe trusts it
    trust = bool(getattr(args, "trust_remote_code", False))
    model: Any = AutoModelForCausalLM.from_pretrained(args.model, dtype=dtype, trust_remote_code=trust)
    if model.num_parameters() < _TINY:
        torch.set_num_threads(1)
    mixed: type[Worker] = type("Worker", (extension, Worker), {})
    return mixed(model.eval(), AutoTokenizer.from_pretrained(args.model, trust_remote_code=trust), dtype)


def _end_tokens(model: Any, tokenizer: Any) -> set[int]:
    configured = model.generation_config.eos_token_id
    ids = configured if isinstance(configured, list) else [configured]
    return {i for i in (*ids, tokenizer.eos_token_id) if i is not None}
