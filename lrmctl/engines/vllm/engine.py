"""Completions by vLLM in this process: token ids in and out, as for transformers, behind the same protocol.

Requests go into vLLM's own queue a few batches ahead, and completions come out as they end, so that a killed
evaluation loses only what was under way. The model is loaded at the first request that is not in the store.
"""

from __future__ import annotations

import gc
import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from itertools import count
from pathlib import Path
from typing import Any

from lrmctl.engines.requests import Completion, GenerationRequest, Rendering, no_room
from lrmctl.engines.stopping import StopWatcher, cut
from lrmctl.engines.to_trace import trace_of
from lrmctl.engines.vllm.model import load_llm, sampling_params, shut_down, vllm_version
from lrmctl.errors import LrmctlError
from lrmctl.recipe.schema.generators import VllmGenerator
from lrmctl.thinking import Thinking, ThinkingFormat, default_format, find_thinking
from lrmctl.types import FinishReason, Prompt, Trace

PLAIN = Rendering()
_AHEAD = 2
"""Batches in vLLM's queue, the running one included."""
_SEEDS = 1 << 31
"""vLLM takes seeds of 64 bits, and NumPy, which it seeds as well, those of 32."""


class VllmEngine:
    """Samples from the checkpoint in `path`.

    Args:
        path: an HF checkpoint folder.
        batch_size: completions side by side (vLLM's `max_num_seqs`); vLLM's own choice if None.
        rendering: how messages become prompts, besides the checkpoint's own template.
    """

    def __init__(
        self, path: Path, options: VllmGenerator, *, batch_size: int | None = None, rendering: Rendering = PLAIN
    ) -> None:
        from lrmctl.models import fingerprint

        self.path, self.fingerprint = Path(path), fingerprint(Path(path))
        self._options, self._batch_size, self._rendering = options, batch_size, rendering
        self._loaded: Any = None
        self._names = count()

    @property
    def identity(self) -> str:
        """Weights, precision, and further options, of which some change what is sampled."""
        parts = ["vllm", self._options.dtype, self.fingerprint]
        if given := self._options.options:
            parts.append(hashlib.sha256(json.dumps(given, sort_keys=True, default=str).encode()).hexdigest()[:8])
        return ":".join(parts)

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

    @property
    def max_len(self) -> int:
        """Tokens of prompt and completion that the model has room for."""
        return int(self._llm.llm_engine.model_config.max_model_len)

    def render(self, prompt: Prompt) -> str:
        from lrmctl.data.render import render_prompt

        asked = replace(prompt, messages=tuple(self._rendering.messages(prompt)))
        return render_prompt(self.tokenizer, asked, self._rendering.template_args)

    def generate(self, requests: Sequence[GenerationRequest]) -> Iterator[list[tuple[int, Completion]]]:
        """Completions as they end. A prompt that does not fit or that vLLM refuses is a completion with an error.

        Raises:
            LrmctlError: vLLM is not installed, or it cannot load the model.
        """
        if not requests:
            return
        engine = self._llm.llm_engine
        waiting = iter(enumerate(requests))
        inside: dict[str, int] = {}
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
            if inside:  # left early: what was under way must not run beside the next requests
                engine.abort_request(list(inside))

    def trace(self, prompt: Prompt, request: GenerationRequest, completion: Completion) -> Trace:
        """See `Engine.trace`. What was forced is part of the thinking or answer, but not of their token counts."""
        return trace_of(prompt, request, completion, self.tokenizer, self.thinking)

    def facts(self) -> dict[str, Any]:
        return {
            "name": "vllm",
            "thinking": self.thinking.describe(),
            "dtype": self._options.dtype,
            "batch_size": self._batch_size,
            "tensor_parallel": self._options.tensor_parallel,
            "options": self._options.options,
            "versions": {"vllm": vllm_version()},
        }

    def release(self) -> None:
        """Give the memory back; the next request loads the model again."""
        if self._loaded is not None:
            shut_down(self._loaded)
            self._loaded = None
            gc.collect()

    @property
    def _llm(self) -> Any:
        if self._loaded is None:
            given = {
                "dtype": self._options.dtype,
                "gpu_memory_utilization": self._options.memory,
                "tensor_parallel_size": self._options.tensor_parallel,
                "max_model_len": self._options.max_len,
            }
            given |= {"max_num_seqs": self._batch_size} if self._batch_size else {}
            self._loaded = load_llm(self.path, "the model", {**given, **self._options.options}, LrmctlError)
        return self._loaded

    @cached_property
    def _ends(self) -> list[int]:
        """Tokens that end a completion, the template's end of a turn among them, which vLLM does not know."""
        from lrmctl.models import end_of_text

        texts = end_of_text(self.tokenizer, self.path).all
        return sorted({int(self.tokenizer.convert_tokens_to_ids(text)) for text in texts})

    @cached_property
    def _vocabulary(self) -> int:
        return int(self._llm.llm_engine.model_config.get_vocab_size())

    def _fill(
        self, engine: Any, waiting: Iterator[tuple[int, GenerationRequest]], inside: dict[str, int]
    ) -> list[tuple[int, Completion]]:
        """Put requests into vLLM's queue until it is long enough; those that are complete without it."""
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
        ids = list(request.ids) or self.tokenizer(request.text, add_special_tokens=False)["input_ids"]
        if problem := self._problem(ids):
            return Completion((), "", "error", problem)
        if request.sampling.max_new_tokens == 0:
            return Completion((), "", "length")
        try:
            engine.add_request(name, {"prompt_token_ids": ids}, _params(request, self.thinking.format, self._ends))
        except (ValueError, TypeError) as error:  # what it finds wrong with one request
            return Completion((), "", "error", f"vLLM refuses the request: {error}")
        return None

    def _problem(self, ids: Sequence[int]) -> str:
        if not ids:
            return "the prompt is empty"
        if len(ids) >= self.max_len:
            return no_room(len(ids), self.max_len)
        if max(ids) >= self._vocabulary:
            return f"the tokenizer has a token {max(ids)} that the model with {self._vocabulary} does not know"
        return ""

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
            return Completion((), "", "error", f"vLLM broke the completion off: {output.finish_reason}")
        ids, why = list(output.token_ids), output.finish_reason
        if why == "stop" and not isinstance(output.stop_reason, str) and ids:
            ids.pop()  # the end-of-text token
        return self._cut(request, ids, why)

    def _cut(self, request: GenerationRequest, ids: list[int], why: FinishReason) -> Completion:
        """The completion up to a stop in its answer or the end of its thinking, if it is asked for."""
        drawn = len(ids)
        watch = StopWatcher.of(request, self.tokenizer, self.thinking.format)
        end = next((n for n, token in enumerate(ids, 1) if watch.ends_with(token)), None) if watch else None
        if watch is None or end is None:
            return Completion(tuple(ids), str(self.tokenizer.decode(ids, skip_special_tokens=False)), why)
        kept, text = cut(ids[:end], watch.cut_before_end or 0, self.tokenizer)
        return Completion(tuple(kept), text, "stop", tokens=drawn)


def _params(request: GenerationRequest, form: ThinkingFormat | None, ends: Sequence[int]) -> Any:
    s = request.sampling
    stop = (form or default_format()).stop
    given: dict[str, Any] = {"stop": [stop], "include_stop_str_in_output": True} if s.end_thinking else {}
    return sampling_params(
        temperature=0.0 if s.greedy else s.temperature,
        top_p=s.top_p,
        top_k=s.top_k,
        max_tokens=s.max_new_tokens,
        min_tokens=min(s.min_new_tokens, s.max_new_tokens),
        seed=request.row_seed % _SEEDS,
        skip_special_tokens=False,
        stop_token_ids=list(ends),
        **given,
    )
