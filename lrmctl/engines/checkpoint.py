"""Common base of the engines that run a checkpoint in this process: its folder, tokenizer, prompts, limits, stops.

Knows neither transformers' models nor vLLM. Calls from several threads are safe.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from threading import RLock
from typing import Any

from lrmctl.engines.base import Completion, Engine, GenerationRequest, Rendering, Sampling
from lrmctl.engines.stopping import StopWatcher, cut
from lrmctl.engines.tokens import control_tokens, first_tokens
from lrmctl.errors import LrmctlError
from lrmctl.runs.names import runs_folder
from lrmctl.thinking import Thinking, find_thinking
from lrmctl.types import FinishReason, Prompt, Trace

PLAIN = Rendering()


@dataclass(frozen=True)
class EncodedRequest:
    """A request as token ids, or the reason why it cannot be answered.

    Attributes:
        ids: tokens of the prompt.
        starts: for each candidate first word of the reply, the tokens that it can begin with.
    """

    request: GenerationRequest
    ids: tuple[int, ...] = ()
    starts: tuple[frozenset[int], ...] = ()
    error: str = ""
    too_long: bool = False

    @property
    def failed(self) -> Completion:
        return Completion.failed(self.error, too_long=self.too_long)


class CheckpointEngine(Engine):
    """An engine that runs a checkpoint.

    Args:
        model: an HF checkpoint folder; as text also a hub id, `run:NAME` or `lab:tiny`, resolved when needed.
        rendering: how messages are rendered, besides the checkpoint's own template.
        trust_remote_code: the Python code in the model's folder may be executed.
    """

    def __init__(self, model: Path | str, *, rendering: Rendering = PLAIN, trust_remote_code: bool = False) -> None:
        self._model, self._rendering, self._trust = model, rendering, trust_remote_code
        self._reading = RLock()  # a tokenizer is not thread-safe
        self._starts: dict[str, frozenset[int]] = {}

    @cached_property
    def path(self) -> Path:
        """The checkpoint's folder.

        Raises:
            LrmctlError: there is no such model.
        """
        from lrmctl.models import allow_code, resolve_model

        if isinstance(self._model, Path):
            if self._trust:
                allow_code(self._model)
            return self._model
        with self._reading:
            return resolve_model(self._model, runs_folder(), trust_remote_code=self._trust)

    @cached_property
    def fingerprint(self) -> str:
        """See `Engine.fingerprint`."""
        from lrmctl.models import fingerprint

        return fingerprint(self.path)

    @cached_property
    def tokenizer(self) -> Any:
        """The checkpoint's tokenizer."""
        from lrmctl.models import load_tokenizer

        with self._reading:
            return load_tokenizer(self.path)

    @cached_property
    def control_tokens(self) -> Sequence[str]:  # type: ignore[override]  # read when they are needed
        """See `Engine.control_tokens`."""
        with self._reading:
            return control_tokens(self.tokenizer)

    @cached_property
    def thinking(self) -> Thinking:
        """See `Engine.thinking`."""
        return find_thinking(
            self.tokenizer, template_args=self._rendering.template_args, override=self._rendering.thinking
        )

    @property
    @abstractmethod
    def max_len(self) -> int:
        """The model's context in tokens, prompt and completion together."""

    @property
    @abstractmethod
    def vocabulary(self) -> int:
        """Size of the vocabulary."""

    def check(self) -> None:
        """Raises LrmctlError if the model or its tokenizer is missing; downloads it if it is on the hub."""
        _ = self.control_tokens

    def render(self, prompt: Prompt) -> str:
        """The chat template applied to the prompt.

        Raises:
            LrmctlError: there is no template, or it omits a part of the prompt.
        """
        from lrmctl.data.render import render_prompt

        asked = replace(prompt, messages=tuple(self._rendering.messages(prompt)))
        return render_prompt(self.tokenizer, asked, self._rendering.template_args)

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
        with self._reading:
            text = text or render_question(self.tokenizer, messages, template_args)
        return question_of(text, max_new_tokens, prefill)

    def trace(self, prompt: Prompt, request: GenerationRequest, completion: Completion) -> Trace:
        """See `Engine.trace`."""
        from lrmctl.engines.to_trace import trace_of

        return trace_of(prompt, request, completion, self.tokenizer, self.thinking)

    def encoded(
        self, requests: Sequence[GenerationRequest], choices: Sequence[Sequence[str]] | None = None
    ) -> list[EncodedRequest]:
        """The requests as token ids, with special tokens only where the text contains them; with `choices`, also the
        first tokens of those words, and one token of reply."""
        with self._reading:
            texts = list(dict.fromkeys(r.text for r in requests if not r.ids))
            ids = self.tokenizer(texts, add_special_tokens=False)["input_ids"] if texts else []
            known = dict(zip(texts, map(tuple, ids), strict=True))
            words = choices or [()] * len(requests)
            return [
                self._encoded(r, r.ids or known[r.text], some, choices is not None)
                for r, some in zip(requests, words, strict=True)
            ]

    def _encoded(
        self, request: GenerationRequest, ids: tuple[int, ...], words: Sequence[str], one_token: bool
    ) -> EncodedRequest:
        try:
            starts = self._starts_of(words)
        except LrmctlError as error:
            return EncodedRequest(request, error=error.what)
        if not ids:
            return EncodedRequest(request, error="the prompt is empty")
        most = 1 if one_token else request.sampling.max_new_tokens
        if not most:
            return EncodedRequest(request, ids)
        room = max(0, self.max_len - (most if request.question else 0))
        if len(ids) > room or (len(ids) == room and not request.question):
            rest = "" if request.question else " with the completion"
            what = f"the prompt has {len(ids)} tokens, and the model has room for {room}{rest}"
            return EncodedRequest(request, ids, error=what, too_long=True)
        if max(ids) >= self.vocabulary:
            what = f"the tokenizer has a token {max(ids)} that the model with {self.vocabulary} does not know"
            return EncodedRequest(request, ids, error=what)
        return EncodedRequest(request, ids, starts)

    def _starts_of(self, words: Sequence[str]) -> tuple[frozenset[int], ...]:
        for word in words:
            if word not in self._starts:
                self._starts[word] = first_tokens(self.tokenizer, word)
        found = tuple(self._starts[word] for word in words)
        for i, one in enumerate(found):
            for j, other in enumerate(found[:i]):
                if one & other:
                    raise LrmctlError(f"the first token does not tell {words[j]!r} from {words[i]!r}")
        return found

    def _texts(self, rows: Sequence[tuple[GenerationRequest, Sequence[int]]]) -> list[str]:
        """Generated tokens as text; a question's reply without special tokens."""
        with self._reading:
            shown = [list(ids) for request, ids in rows if not request.question]
            texts = iter(self.tokenizer.batch_decode(shown, skip_special_tokens=False) if shown else [])
            return [
                str(self.tokenizer.decode(ids, skip_special_tokens=True)) if request.question else next(texts)
                for request, ids in rows
            ]

    def _watch(self, request: GenerationRequest) -> StopWatcher | None:
        """The watcher for stops in a completion; None if the request has none."""
        return StopWatcher.of(request, self.tokenizer, self.thinking.format) if _stops(request.sampling) else None

    def _cut(self, request: GenerationRequest, ids: Sequence[int], reason: FinishReason) -> Completion:
        """The completion up to a stop in its answer or the end of its thinking, if the request asks for either."""
        watch = self._watch(request)
        end = next((n for n, token in enumerate(ids, 1) if watch.ends_with(token)), None) if watch else None
        if watch is None or end is None:
            return Completion(tuple(ids), self._texts([(request, ids)])[0], reason)
        kept, text = cut(ids[:end], watch.cut_before_end or 0, self.tokenizer)
        return Completion(tuple(kept), text, "stop", tokens=len(ids))


def _stops(sampling: Sampling) -> bool:
    return bool(sampling.stop) or sampling.end_thinking


def render_question(
    tokenizer: Any, messages: Sequence[Mapping[str, str]], template_args: Mapping[str, Any] | None
) -> str:
    """A conversation rendered by the tokenizer's chat template, with the content of every message.

    Raises:
        LrmctlError: there is no template, or it omits a message.
    """
    from lrmctl.models.chat import ALL_ROLES, render_chat

    if not messages:
        return ""
    if not getattr(tokenizer, "chat_template", None):
        raise LrmctlError("the judge's model has no chat template; give its own folder, with all tokenizer files")
    return render_chat(tokenizer, messages, template_args or {}, whole=ALL_ROLES)


def question_of(text: str, max_new_tokens: int, prefill: str = "") -> GenerationRequest:
    """The greedy request for a rendered question; see `Engine.question`."""
    sampling = Sampling(temperature=0.0, max_new_tokens=max_new_tokens)
    return GenerationRequest(text + prefill, sampling, forced=prefill, question=True, plain=True)
