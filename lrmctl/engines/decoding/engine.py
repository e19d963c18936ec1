"""Decoding modes: controls how the model thinks, on top of any engine that can continue text.

A steered engine is itself an engine: it is stored, traced and passed to lm-evaluation-harness like the inner one, under
its own identity. Text that a mode forces before the completion is part of the request; text that it inserts later is
part of the completion and counted there. Multi-turn modes keep the inner engine busy with the turns of many
completions.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from itertools import islice
from typing import Any

from lrmctl.engines.base import Completion, Engine, GenerationRequest, Sampling
from lrmctl.engines.decoding.partial import PartialCompletion, closing
from lrmctl.engines.decoding.thoughts import ForcedThoughts, beginning, open_thoughts
from lrmctl.engines.decoding.turns import Turns, answered, further, reserved, within
from lrmctl.engines.probabilities import FirstTokenProbabilities, LogLikelihood, TokenStatistics, TopLogprobs
from lrmctl.errors import RecipeError
from lrmctl.recipe.schema.decoding import Budget, Decoding, DefaultDecoding, LessThink, MoreThink, Prefix, ZeroThink
from lrmctl.thinking import Thinking, ThinkingFormat, closes_thinking, default_format, opens_thinking
from lrmctl.types import Prompt, Trace

LESS = {
    "lrmctl": "This needs no long thought, so I answer right away.",
    # the prompt text of SafeChain's LessThink (arXiv 2502.12025), word for word, so that results are comparable
    "safechain": "Okay, the user ask for this, I can answer it without thinking much. ",
}
"""The one thought of less-think, by name."""
AT_ONCE = 512
"""Multi-turn completions in progress at the same time: the most that a killed evaluation loses."""


def steered(engine: Engine, decoding: Decoding) -> Engine:
    """The engine with the decoding mode applied; the engine itself if the mode changes nothing.

    Raises:
        RecipeError: the engine cannot be steered, or the text inserted by the mode exceeds its budget.
        NotFoundError, LrmctlError: the file of thoughts is missing or cannot be read.
    """
    if isinstance(decoding, DefaultDecoding):
        return engine
    if engine.tokenizer is None:
        what = f"the mode {decoding.mode!r} goes on from text, and this engine renders the prompts by itself"
        raise RecipeError(what, "decoding", "take hf, vllm, or openai with `api: completions` and a `tokenizer:`")
    return SteeredEngine(engine, decoding)


def begun(engine: Engine, thoughts: Mapping[str, str]) -> Engine:
    """The engine with a beginning of the thinking for each prompt, after which the text goes on directly.

    Args:
        engine: one that can continue text.
        thoughts: by the prompt's id.
    """
    return SteeredEngine(engine, Prefix(thought=""), ForcedThoughts(by_id=dict(thoughts)))


class SteeredEngine(Engine):
    """See `steered` and `begun`."""

    def __init__(self, engine: Engine, mode: Decoding, thoughts: ForcedThoughts | None = None) -> None:
        self.inner, self.mode = engine, mode
        self.name, self.capabilities = engine.name, engine.capabilities
        self.parallel, self.control_tokens = engine.parallel, ()
        self._begun = thoughts is not None
        self._thoughts = thoughts or (open_thoughts(mode) if isinstance(mode, Prefix) else ForcedThoughts())
        self._left_out = 0
        if isinstance(mode, Budget):
            _check_budget(mode, self.tokenizer, self.form)

    @property
    def fingerprint(self) -> str:
        return self.inner.fingerprint

    @property
    def tokenizer(self) -> Any:
        return self.inner.tokenizer

    @property
    def thinking(self) -> Thinking:
        return self.inner.thinking

    @property
    def running(self) -> Sequence[tuple[int, int]]:  # type: ignore[override]  # read when it is needed
        """The inner engine's; unknown in modes of several turns, of which that engine sees one."""
        return () if isinstance(self.mode, Budget | MoreThink) else self.inner.running

    @property
    def form(self) -> ThinkingFormat:
        """The model's thinking format, or the one imposed on a model that has none."""
        return self.inner.thinking.format or default_format()

    @cached_property
    def identity(self) -> str:
        """The inner engine's identity, and all text of the mode except the forced text, which is in the request."""
        kept = self.mode.model_dump(mode="json", exclude={"thought", "thoughts", "missing", "sample", "only"})
        digest = hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()[:8]
        named = "" if self.form == default_format() else f":{self.form.name}"
        return f"{self.inner.identity}:{self.mode.mode}:{digest}{named}"

    def facts(self) -> dict[str, Any]:
        told = self.mode.model_dump(mode="json")
        if self._begun:
            told["thought"] = f"one for each of {len(self._thoughts.by_id)} prompts"
        if isinstance(self.mode, Prefix):
            told["left_out"] = self._left_out
        return {**self.inner.facts(), "decoding": told}

    def render(self, prompt: Prompt) -> str:
        """The prompt alone, without forced text (see `request`)."""
        return self.inner.render(prompt)

    def request(self, prompt: Prompt, sampling: Sampling, sample: int, seed: int) -> GenerationRequest:
        """The rendered prompt followed by the text that the mode forces.

        Raises:
            RecipeError: the template has already closed the thinking, or there is no thought for the prompt.
        """
        text = self.inner.render(prompt)
        forced = self._forced(prompt, text)
        return GenerationRequest(text + forced, sampling, sample, seed, forced)

    def answerable(self, prompts: Sequence[Prompt]) -> list[Prompt]:
        """All prompts; in a mode that forces thoughts with `missing: skip`, those that have a thought.

        Raises:
            RecipeError: some prompts have no thought, and the mode does not say to skip them.
        """
        if not isinstance(self.mode, Prefix):
            return list(prompts)
        kept = [prompt for prompt in prompts if self._thoughts.of(prompt) is not None]
        if self.mode.missing == "error" and len(kept) < len(prompts):
            first = next(prompt for prompt in prompts if self._thoughts.of(prompt) is None)
            left = len(prompts) - len(kept)
            raise _no_thought(f"{left} of {len(prompts)} prompts have no thought, the first is {first.id!r}")
        self._left_out += len(prompts) - len(kept)
        return kept

    def generate(self, requests: Sequence[GenerationRequest]) -> Iterator[list[tuple[int, Completion]]]:
        """See `Engine.generate`. A multi-turn completion is returned as one; a failed turn makes it fail."""
        several = isinstance(self.mode, Budget | MoreThink)
        fresh = iter(range(len(requests)))
        under_way: dict[int, Turns] = {}
        asks: dict[int, GenerationRequest] = {}
        while True:
            done: list[tuple[int, Completion]] = []
            for i in islice(fresh, AT_ONCE - len(asks) if several else None):
                under_way[i] = self._turns(requests[i])
                done += _advance(i, requests[i], None, under_way, asks)
            if done:
                yield done
            if not asks and not under_way:
                return
            yield from self._turn(under_way, asks)

    def _turn(
        self, under_way: dict[int, Turns], asks: dict[int, GenerationRequest]
    ) -> Iterator[list[tuple[int, Completion]]]:
        """Send all pending requests to the inner engine, and return the completions that finish."""
        batch = list(asks.items())
        asks.clear()
        for some in self.inner.generate([request for _, request in batch]):
            yield [found for j, said in some for found in _advance(*batch[j], said, under_way, asks)]

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
        return self.inner.question(messages, max_new_tokens, text=text, prefill=prefill, template_args=template_args)

    def first_token_probabilities(
        self, requests: Sequence[GenerationRequest], choices: Sequence[Sequence[str]]
    ) -> list[FirstTokenProbabilities]:
        """The inner engine's: a mode does not change the model's probabilities."""
        return self.inner.first_token_probabilities(requests, choices)

    def loglikelihood(self, pairs: Sequence[tuple[str, str]]) -> list[LogLikelihood]:
        """The inner engine's."""
        return self.inner.loglikelihood(pairs)

    def rolling_loglikelihood(self, texts: Sequence[str]) -> list[float]:
        """The inner engine's."""
        return self.inner.rolling_loglikelihood(texts)

    def token_statistics(
        self, pairs: Sequence[tuple[Sequence[int], Sequence[int]]], *, base: Engine | None = None, top_k: int = 20
    ) -> Iterator[list[tuple[int, TokenStatistics]]]:
        """The inner engine's."""
        return self.inner.token_statistics(pairs, base=base, top_k=top_k)

    def top_logprobs(
        self, pairs: Sequence[tuple[Sequence[int], Sequence[int]]], top_k: int
    ) -> Iterator[list[tuple[int, TopLogprobs]]]:
        """The inner engine's."""
        return self.inner.top_logprobs(pairs, top_k)

    def check(self) -> None:
        self.inner.check()

    def prepare(self) -> None:
        self.inner.prepare()

    def release(self) -> None:
        self.inner.release()

    def trace(self, prompt: Prompt, request: GenerationRequest, completion: Completion) -> Trace:
        """See `Engine.trace`. Thinking that the mode leaves out on purpose is not malformed."""
        trace = self.inner.trace(prompt, request, completion)
        if not isinstance(self.mode, ZeroThink) or trace.finish_reason == "error" or trace.thinking:
            return trace
        if trace.thinking_state == "unclosed" or set(trace.faults) - {"empty"}:
            return trace
        return replace(trace, thinking_state="closed", irregular=(), thinking_tokens=0, skipped=True)

    def _turns(self, request: GenerationRequest) -> Turns:
        said = PartialCompletion(request, self.tokenizer, self.form)
        if isinstance(self.mode, Budget):
            return within(said, self.mode)
        return further(said, self.mode) if isinstance(self.mode, MoreThink) else answered(said)

    def _forced(self, prompt: Prompt, rendered: str) -> str:
        mode, form = self.mode, self.form
        if closes_thinking(rendered, form):
            if isinstance(mode, ZeroThink):  # the template already does it
                return ""
            what = f"the mode {mode.mode!r} steers the thinking, and the chat template has closed it already"
            raise RecipeError(what, "decoding", "let the template think, e.g. `template_args: {enable_thinking: true}`")
        start = "" if opens_thinking(rendered, form) else form.opening
        if isinstance(mode, ZeroThink):
            return start + form.closing
        if isinstance(mode, LessThink):
            return start + (LESS[mode.wording] if mode.thought is None else mode.thought) + form.closing
        return start + self._prefix(prompt) if isinstance(mode, Prefix) else start

    def _prefix(self, prompt: Prompt) -> str:
        mode, thought = self.mode, self._thoughts.of(prompt)
        assert isinstance(mode, Prefix)
        if thought is None:
            raise _no_thought(f"the prompt {prompt.id!r} has no thought")
        part = beginning(thought, mode, self.tokenizer)
        return part + closing("", part, self.form) if mode.close else part


def _advance(
    i: int,
    request: GenerationRequest,
    said: Completion | None,
    under_way: dict[int, Turns],
    asks: dict[int, GenerationRequest],
) -> list[tuple[int, Completion]]:
    """Pass the model's response to its completion; returns the completion if it is finished. A later turn that has no
    room left was cut by the model's length limit."""
    if said is not None and request.ids and said.too_long:
        said = Completion((), "", "length")
    if said is not None and said.finish_reason == "error":
        del under_way[i]
        return [(i, said)]
    try:
        turns = under_way[i]
        asks[i] = next(turns) if said is None else turns.send(said)
    except StopIteration as end:
        del under_way[i]
        return [(i, end.value)]
    return []


def _check_budget(mode: Budget, tokenizer: Any, form: ThinkingFormat) -> None:
    words = reserved(PartialCompletion(GenerationRequest("", Sampling()), tokenizer, form), mode)
    if words >= mode.tokens:
        what = f"what closes the thought has {words} tokens, and the budget {mode.tokens}: nothing is left to think"
        raise RecipeError(what, "decoding.tokens", "allow more tokens, shorten `closing`, or say zero-think")


def _no_thought(what: str) -> RecipeError:
    return RecipeError(what, "decoding.thoughts", "add it to the file, or leave such prompts out with `missing: skip`")
