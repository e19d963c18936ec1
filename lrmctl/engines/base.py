"""The one protocol of engines: what is asked of a model, what comes back, and the base class of whoever answers.

Evaluations, judges and rewards ask through the same class. An engine says in `capabilities` what it can do besides
generating; what it cannot do is refused by the base class with one clear error. Knows no judge and no benchmark, and is
free of torch, so that recipes and stores can import it.

A request says everything its completion depends on besides the model, so that a completion can be stored under it and
a seed derived from it: the same request gets the same completion whatever else is in the batch.
"""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from typing import Any, Literal

from lrmctl.engines.probabilities import FirstTokenProbabilities, LogLikelihood, TokenStatistics, TopLogprobs
from lrmctl.errors import RecipeError
from lrmctl.thinking import UNKNOWN, Override, Thinking
from lrmctl.types import FinishReason, Prompt, Trace

GREEDY_BELOW = 1e-5

Capability = Literal["first_token_probabilities", "loglikelihood", "token_statistics", "top_logprobs"]
"""What an engine may be able to do besides generating; each is the name of a method of `Engine`."""
OnProgress = Callable[[int, int], None]
"""Called with (done, total)."""


@dataclass(frozen=True)
class Sampling:
    """How one completion is drawn.

    Attributes:
        temperature: divides the logits; 0 (below 1e-5) takes the most likely token.
        top_p: the smallest set of tokens whose probability reaches this is kept; 1 keeps all.
        top_k: number of most likely tokens kept, before `top_p`; 0 keeps all.
        max_new_tokens: length limit of the completion in tokens, its end-of-text token included.
        min_new_tokens: no end-of-text token before this many others.
        stop: texts that end the answer, which is cut before the first one. Inside of thinking they do not count.
        end_thinking: the completion ends with the tag that closes the thinking.
    """

    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    max_new_tokens: int = 256
    min_new_tokens: int = 0
    stop: tuple[str, ...] = ()
    end_thinking: bool = False

    def __post_init__(self) -> None:
        problem = self._problem()
        if problem:
            raise ValueError(problem)

    @property
    def greedy(self) -> bool:
        return self.temperature < GREEDY_BELOW

    def _problem(self) -> str:
        if not 0 <= self.temperature < float("inf"):
            return f"temperature must be a finite number >= 0, not {self.temperature}"
        if not 0 < self.top_p <= 1:
            return f"top_p must be in (0, 1], not {self.top_p}"
        if self.top_k < 0:
            return f"top_k must be >= 0 (0 keeps every token), not {self.top_k}"
        if self.max_new_tokens < 0 or self.min_new_tokens < 0:
            return f"token limits must be >= 0, not {self.max_new_tokens} and {self.min_new_tokens}"
        return ""


@dataclass(frozen=True)
class SampledTokens:
    """One completion as token ids.

    Attributes:
        ids: the sampled tokens; the last one is the end-of-text token if `finish_reason` is `stop`.
        logprobs: natural-log probability of each token under the distribution it was drawn from (temperature and
            filters applied; temperature 1 for greedy), as vLLM's `processed_logprobs`.
        finish_reason: the model ended it, or a length limit did.
    """

    ids: tuple[int, ...]
    logprobs: tuple[float, ...]
    finish_reason: Literal["stop", "length"]


@dataclass(frozen=True)
class GenerationRequest:
    """One completion to be generated.

    Attributes:
        text: what the engine continues: the rendered prompt with its generation prompt, and `forced`. For a server
            that renders by itself, the messages as JSON.
        sample: index among the samples of this prompt, from 0.
        seed: seed of the whole evaluation.
        forced: the end of `text` that stands for the beginning of the completion: `trace` counts it as said.
        ids: the tokens of `text` where they are known: an engine that takes tokens goes on from them, since encoding
            what a model wrote may give others. Not part of the key, nor are the two that follow.
        question: a judge's question. The text of the reply is given without special tokens and with whatever thinking
            is in it, and a prompt that leaves no room for all of `max_new_tokens` is an error, never cut short.
        plain: `text` is the whole prompt even for a server that renders prompts by itself.
    """

    text: str
    sampling: Sampling
    sample: int = 0
    seed: int = 0
    forced: str = ""
    ids: tuple[int, ...] = ()
    question: bool = False
    plain: bool = False

    @property
    def row_seed(self) -> int:
        """Seed of this completion alone, 60 bits. Temperatures share it: the same luck at T=0.6 and T=1."""
        return int(_sha256(self.seed, self.text, self.sample)[:15], 16)

    def key(self, identity: str) -> str:
        """Name of this completion in a store, given the engine's identity."""
        return _sha256(identity, self.text, _settings(self.sampling), self.seed, self.sample)


@dataclass(frozen=True)
class Completion:
    """What an engine answered.

    Attributes:
        ids: token ids without the end-of-text token; empty where the engine gives none.
        text: the same decoded, special tokens and think tags shown.
        error: what went wrong if `finish_reason` is `error`; such a completion is never stored.
        too_long: the error is that the prompt is longer than the model has room for.
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
    too_long: bool = False

    @classmethod
    def failed(cls, error: str, *, too_long: bool = False) -> Completion:
        """One that could not be generated."""
        return cls((), "", "error", error, tokens=0, too_long=too_long)

    @property
    def count(self) -> int:
        """Tokens that the model generated."""
        return len(self.ids) - self.inserted if self.tokens is None else self.tokens


def checked(request: GenerationRequest, completion: Completion) -> Completion:
    """The completion; one without a single token that a length limit is said to have cut is a failure, not what the
    model says."""
    nothing = completion.finish_reason == "length" and not completion.text and not completion.count
    if nothing and request.sampling.max_new_tokens and not completion.ids:
        return Completion.failed("the engine gave no token: the prompt leaves no room for a completion")
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


class Engine(ABC):
    """A model that completes prompts.

    An engine implements `fingerprint`, `identity`, `question` and `generate`. All else has a default here: it does
    nothing, or refuses and names the engine.

    Attributes:
        name: as recipes name it.
        capabilities: what it can do besides generating.
        parallel: calls at the same time that it makes good use of. Calls from several threads are safe in any case.
        control_tokens: the model's special tokens as text, which judged text must not contain; empty if unknown.
        tokenizer: the model's tokenizer; None where the engine has none, and then it cannot continue given text.
    """

    name: str = "engine"
    capabilities: frozenset[Capability] = frozenset()
    parallel: int = 1
    control_tokens: Sequence[str] = ()
    tokenizer: Any = None

    @property
    @abstractmethod
    def fingerprint(self) -> str:
        """Identifies the checkpoint (see `lrmctl.models.fingerprint`)."""

    @property
    @abstractmethod
    def identity(self) -> str:
        """The fingerprint and whatever else of the engine changes its completions; never a path, a URL or a key."""

    @property
    def thinking(self) -> Thinking:
        """Whether the model thinks as it is asked here, and how it writes its thought; by default nothing is known.

        Raises:
            RecipeError: the recipe names another format than the template's.
        """
        return UNKNOWN

    def check(self) -> None:
        """Raise what stands in the way of asking: no such model, no key. Loads no weights. Nothing by default."""

    def prepare(self) -> None:
        """Load what is slow to load; without it the first request does. Nothing by default."""

    def release(self) -> None:
        """Give memory and connections back; the next request takes them again. Nothing by default."""

    def facts(self) -> dict[str, Any]:
        """What to print beside every number: engine, device, dtype, versions. JSON values."""
        return {"name": self.name}

    def render(self, prompt: Prompt) -> str:
        """The text that `generate` continues for a prompt."""
        raise self._refusal("renders no prompts")

    def request(self, prompt: Prompt, sampling: Sampling, sample: int, seed: int) -> GenerationRequest:
        """The request for one sample of a prompt. An engine that begins the completion itself overrides this."""
        return GenerationRequest(self.render(prompt), sampling, sample, seed)

    def answerable(self, prompts: Sequence[Prompt]) -> list[Prompt]:
        """The prompts for which requests can be made: all by default."""
        return list(prompts)

    @abstractmethod
    def question(
        self,
        messages: Sequence[Mapping[str, str]],
        max_new_tokens: int,
        *,
        text: str = "",
        prefill: str = "",
        template_args: Mapping[str, Any] | None = None,
    ) -> GenerationRequest:
        """The request for a greedy reply in a conversation.

        Args:
            messages: for the model's own chat template; ignored if `text` is given.
            text: the whole prompt, where no chat template is used.
            prefill: how the reply begins. A chat server cannot be made to begin a reply and leaves it out.
            template_args: named arguments for the chat template.

        Raises:
            LrmctlError: the messages cannot be rendered whole.
        """

    @abstractmethod
    def generate(self, requests: Sequence[GenerationRequest]) -> Iterator[list[tuple[int, Completion]]]:
        """Completions as they end, some at a time, each with its request's index; every request exactly once."""

    def trace(self, prompt: Prompt, request: GenerationRequest, completion: Completion) -> Trace:
        """The completion, with what was forced before it, split into thinking and answer. What was forced is part of
        them, but not of their token counts. A failed completion is a trace with finish reason `error`."""
        raise self._refusal("makes no traces")

    def first_token_probabilities(
        self, requests: Sequence[GenerationRequest], choices: Sequence[Sequence[str]]
    ) -> list[FirstTokenProbabilities]:
        """For each request, how likely the reply begins with each of its words, at temperature 1.

        Raises:
            RecipeError: the engine has not this capability.
        """
        raise self._refusal("gives no probabilities of first tokens", "first_token_probabilities")

    def loglikelihood(self, pairs: Sequence[tuple[str, str]]) -> list[LogLikelihood]:
        """Of each (context, continuation), encoded as lm-evaluation-harness's `hf` model does.

        Raises:
            RecipeError: the engine has not this capability; servers do not give these probabilities.
        """
        raise self._refusal("gives no log-likelihoods", "loglikelihood")

    def rolling_loglikelihood(self, texts: Sequence[str]) -> list[float]:
        """Natural-log probability of each whole text, windowed as lm-evaluation-harness's `hf` model does. Part of the
        capability `loglikelihood`.

        Raises:
            RecipeError: the engine has not this capability.
        """
        raise self._refusal("gives no log-likelihoods", "loglikelihood")

    def token_statistics(
        self, pairs: Sequence[tuple[Sequence[int], Sequence[int]]], *, base: Engine | None = None, top_k: int = 20
    ) -> Iterator[list[tuple[int, TokenStatistics]]]:
        """Of each (context ids, continuation ids), what the model's distribution looks like at each token of the
        continuation, over the whole vocabulary at temperature 1. As they are done, each with its pair's index.

        Args:
            base: a second engine of the same kind and vocabulary, which reads the same tokens.
            top_k: tokens whose probabilities make up `top_mass`.

        Raises:
            RecipeError: the engine has not this capability, or the two vocabularies differ.
        """
        raise self._refusal("gives no statistics of whole distributions", "token_statistics")

    def top_logprobs(
        self, pairs: Sequence[tuple[Sequence[int], Sequence[int]]], top_k: int
    ) -> Iterator[list[tuple[int, TopLogprobs]]]:
        """Of each (context ids, continuation ids), the largest log-probabilities at each token of the continuation.

        Raises:
            RecipeError: the engine has not this capability.
        """
        raise self._refusal("gives no log-probabilities of given text", "top_logprobs")

    def require(self, capability: Capability) -> None:
        """Refuse what cannot be done before any work is.

        Raises:
            RecipeError: the engine has not this capability.
        """
        if capability not in self.capabilities:
            raise self._refusal(f"has not the capability {capability!r}", capability)

    def _refusal(self, what: str, capability: Capability | None = None) -> RecipeError:
        fix = f"use an engine that can, {' or '.join(WITH[capability])}" if capability else "use another engine"
        return RecipeError(f"the engine {self.name!r} {what}", "engine", fix)


WITH: Mapping[Capability, tuple[str, ...]] = {
    "first_token_probabilities": ("hf", "vllm", "openai"),
    "loglikelihood": ("hf",),
    "token_statistics": ("hf",),
    "top_logprobs": ("openai",),
}
"""The built-in engines that have each capability, for error messages."""


@lru_cache
def _settings(sampling: Sampling) -> dict[str, Any]:
    """The sampling as part of a key; without an option that stores made before it existed do not know."""
    found = asdict(sampling)
    return found if found["end_thinking"] else {name: value for name, value in found.items() if name != "end_thinking"}


def _sha256(*parts: Any) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
