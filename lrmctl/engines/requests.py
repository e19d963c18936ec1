"""What is asked of an engine and what it gives back: rendered prompts in, token ids out. Free of torch.

A request says everything its completion depends on besides the model, so that a completion can be stored under it and
a seed derived from it: the same request gets the same completion whatever else is in the batch.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple, Protocol

from lrmctl.engines.base import Sampling
from lrmctl.thinking import Override, Thinking
from lrmctl.types import FinishReason, Prompt, Trace


@dataclass(frozen=True)
class GenerationRequest:
    """One completion to be drawn.

    Attributes:
        text: what the engine goes on from: the rendered prompt with its generation prompt, and `forced`. For a server
            that renders by itself, the messages as JSON.
        sample: index among the samples of this prompt, from 0.
        seed: seed of the whole evaluation.
        forced: the end of `text` that stands for the beginning of the completion: `trace` counts it as said.
        ids: the tokens of `text` where they are known: an engine that takes tokens goes on from them, since encoding
            what a model wrote may give others. No part of the key.
    """

    text: str
    sampling: Sampling
    sample: int = 0
    seed: int = 0
    forced: str = ""
    ids: tuple[int, ...] = ()

    @property
    def row_seed(self) -> int:
        """Seed of this completion alone, 60 bits. Temperatures share it: the same luck at T=0.6 and T=1."""
        return int(_sha256(self.seed, self.text, self.sample)[:15], 16)

    def key(self, identity: str) -> str:
        """Name of this completion in a store, given the engine's identity."""
        return _sha256(identity, self.text, _words(self.sampling), self.seed, self.sample)


@dataclass(frozen=True)
class Completion:
    """What an engine answered.

    Attributes:
        ids: token ids without the end-of-text token; empty where the engine gives none.
        text: the same decoded, special tokens and think tags shown.
        error: what went wrong if `finish_reason` is `error`; such a completion is never stored.
        tokens: that the model generated; the number of `ids` less `inserted` if None.
        thinking_tokens: those of the thinking, where the engine counts them itself.
        inserted: tokens in `ids` that a decoding mode put there, not the model.
        reasoning: the thinking, where a server sent it apart, and `text` is the answer alone; None where all of the
            completion is in `text`.
    """

    ids: tuple[int, ...]
    text: str
    finish_reason: FinishReason
    error: str = ""
    tokens: int | None = None
    thinking_tokens: int | None = None
    inserted: int = 0
    reasoning: str | None = None

    @property
    def count(self) -> int:
        """Tokens that the model generated."""
        return len(self.ids) - self.inserted if self.tokens is None else self.tokens


_NO_ROOM = "the prompt has "


def no_room(tokens: int, room: int) -> str:
    """The error of a prompt that fills the model's positions."""
    return f"{_NO_ROOM}{tokens} tokens, and the model has room for {room} with the completion"


def lacks_room(completion: Completion) -> bool:
    return completion.finish_reason == "error" and completion.error.startswith(_NO_ROOM)


def checked(request: GenerationRequest, completion: Completion) -> Completion:
    """The completion; one without a single token that a length limit is said to have cut is a failure, not what the
    model says."""
    nothing = completion.finish_reason == "length" and not completion.text and not completion.count
    if nothing and request.sampling.max_new_tokens and not completion.ids:
        return Completion((), "", "error", "the engine gave no token: the prompt leaves no room for a completion")
    return completion


@dataclass(frozen=True)
class Rendering:
    """How messages become the text of a prompt, besides the model's own template.

    Attributes:
        system: a system message before messages that have none; empty for none.
        template_args: named arguments of the chat template.
        thinking: how the model writes its thought, as the recipe says it; None finds it out.
    """

    system: str = ""
    template_args: Mapping[str, Any] = field(default_factory=dict)
    thinking: Override = None

    def messages(self, prompt: Prompt) -> list[dict[str, str]]:
        """The prompt's messages, the system message first."""
        messages = [dict(message) for message in prompt.messages]
        if self.system and messages[0]["role"] != "system":
            messages.insert(0, {"role": "system", "content": self.system})
        return messages


class LogLikelihood(NamedTuple):
    """What a model makes of a given continuation: natural-log probability of all its tokens, and whether each is the
    most likely one."""

    logprob: float
    greedy: bool


class Engine(Protocol):
    """Anything that completes rendered prompts."""

    @property
    def fingerprint(self) -> str:
        """Identifies the checkpoint (see `lrmctl.models.fingerprint`)."""
        ...

    @property
    def identity(self) -> str:
        """The fingerprint and whatever else of the engine changes its completions; never a path or a URL."""
        ...

    @property
    def thinking(self) -> Thinking:
        """Whether the model thinks as it is asked here, and how it writes its thought.

        Raises:
            RecipeError: the recipe names another format than the template's.
        """
        ...

    def render(self, prompt: Prompt) -> str: ...

    def generate(self, requests: Sequence[GenerationRequest]) -> Iterator[list[tuple[int, Completion]]]:
        """Completions as they end, some at a time, each with its request's index; every request exactly once."""
        ...

    def trace(self, prompt: Prompt, request: GenerationRequest, completion: Completion) -> Trace:
        """The completion, with what was forced before it, split into thinking and answer. One that failed is a trace
        whose finish reason is `error`."""
        ...

    def facts(self) -> dict[str, Any]:
        """What to print beside every number: engine, device, dtype, versions. JSON values."""
        ...


def request_of(engine: Engine, prompt: Prompt, sampling: Sampling, sample: int, seed: int) -> GenerationRequest:
    """The request for one sample of a prompt. An engine that puts words into the model's mouth has a method `request`
    of the same arguments, which is asked instead."""
    own = getattr(engine, "request", None)
    if own is not None:
        made: GenerationRequest = own(prompt, sampling, sample, seed)
        return made
    return GenerationRequest(engine.render(prompt), sampling, sample, seed)


class LikelihoodEngine(Protocol):
    """An engine that has the model's probabilities, which servers do not give."""

    def loglikelihood(self, pairs: Sequence[tuple[str, str]]) -> list[LogLikelihood]:
        """Of each (context, continuation), encoded as lm-evaluation-harness's `hf` model does."""
        ...

    def rolling_loglikelihood(self, texts: Sequence[str]) -> list[float]:
        """Natural-log probability of each whole text, windowed as lm-evaluation-harness's `hf` model does."""
        ...


@lru_cache
def _words(sampling: Sampling) -> dict[str, Any]:
    """The sampling as part of a key; without a word that stores made before it existed do not know."""
    words = asdict(sampling)
    return words if words["end_thinking"] else {name: value for name, value in words.items() if name != "end_thinking"}


def _sha256(*parts: Any) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
