"""The one engine protocol: requests to a model, its completions, and the base class of all engines.

Evaluations, judges and rewards use the same class. An engine lists in `capabilities` what it can do besides generating;
the base class refuses everything else with one clear error. Knows no judge and no benchmark, and is free of torch, so
that recipes and stores can import it.

A request contains everything its completion depends on besides the model, so that it can serve as the key of a stored
completion and as the source of its seed: the same request gets the same completion whatever else is in the batch.
"""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

from lrmctl.engines.probabilities import FirstTokenProbabilities, LogLikelihood, TokenStatistics, TopLogprobs
from lrmctl.errors import RecipeError
from lrmctl.thinking import UNKNOWN, Override, Thinking
from lrmctl.types import FinishReason, Prompt, Trace

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

GREEDY_BELOW = 1e-5

Capability = Literal[
    "first_token_probabilities", "loglikelihood", "token_statistics", "top_logprobs", "mean_hidden_states"
]
"""Optional capabilities of an engine; each is the name of a method of `Engine`."""
OnProgress = Callable[[int, int], None]
"""Called with (done, total)."""


@dataclass(frozen=True)
class Sampling:
    """How one completion is sampled.

    Attributes:
        temperature: divides the logits; 0 (below 1e-5) is greedy decoding.
        top_p: the smallest set of tokens whose probability reaches this is kept; 1 keeps all.
        top_k: number of most likely tokens kept, before `top_p`; 0 keeps all.
        max_new_tokens: length limit of the completion in tokens, its end-of-text token included.
        min_new_tokens: no end-of-text token before this many others.
        stop: texts that end the answer, which is cut before the first one. Inside thinking they are ignored.
        end_thinking: the completion ends at the tag that closes the thinking.
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
        logprobs: natural-log probability of each token under the distribution it was sampled from (temperature and
            filters applied; temperature 1 for greedy), as vLLM's `processed_logprobs`.
        finish_reason: the model ended it, or a length limit did.
    """

    ids: tuple[int, ...]
    logprobs: tuple[float, ...]
    finish_reason: Literal["stop", "length"]


@dataclass(frozen=True)
class GenerationRequest:
    """A request for one completion.

    Attributes:
        text: the text that the engine continues: the rendered prompt with its generation prompt, and `forced`. For a
            server that renders the prompt itself, the messages as JSON.
        sample: index among the samples of this prompt, from 0.
        seed: seed of the whole evaluation.
        forced: the end of `text` that is the beginning of the completion: `trace` treats it as generated.
        ids: the tokens of `text` if known: an engine that takes tokens continues from them, since re-encoding generated
            text may give others. Not part of the key, nor are the next two.
        question: a judge's question. The text of the reply has no special tokens but all of its thinking, and a prompt
            that leaves too little room for `max_new_tokens` is an error, never truncated.
        plain: `text` is the whole prompt even for a server that renders prompts itself.
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
        """Seed of this completion, 60 bits. It does not depend on temperature: T=0.6 and T=1 share random numbers."""
        return int(_sha256(self.seed, self.text, self.sample)[:15], 16)

    def key(self, identity: str) -> str:
        """Key of this completion in a store, given the engine's identity."""
        return _sha256(identity, self.text, _settings(self.sampling), self.seed, self.sample)


@dataclass(frozen=True)
class Completion:
    """An engine's response to a request.

    Attributes:
        ids: token ids without the end-of-text token; empty if the engine provides none.
        text: the same decoded, special tokens and think tags included.
        error: what went wrong if `finish_reason` is `error`; such a completion is never stored.
        too_long: the error is that the prompt exceeds the model's context.
        tokens: number of tokens generated by the model; None means the number of `ids` less `inserted`.
        thinking_tokens: those of the thinking, if the engine counts them itself.
        inserted: tokens in `ids` that were inserted by a decoding mode, not generated.
        reasoning: the thinking, if a server sent it separately, in which case `text` is the answer alone; None if
            `text` contains the whole completion.
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
        """A completion that could not be generated."""
        return cls((), "", "error", error, tokens=0, too_long=too_long)

    @property
    def count(self) -> int:
        """Number of tokens that the model generated."""
        return len(self.ids) - self.inserted if self.tokens is None else self.tokens


def checked(request: GenerationRequest, completion: Completion) -> Completion:
    """The completion; an empty one that was reportedly cut by a length limit becomes a failure, since the model said
    nothing."""
    nothing = completion.finish_reason == "length" and not completion.text and not completion.count
    if nothing and request.sampling.max_new_tokens and not completion.ids:
        return Completion.failed("the engine gave no token: the prompt leaves no room for a completion")
    return completion


@dataclass(frozen=True)
class Rendering:
    """How messages are rendered as a prompt, besides the model's own template.

    Attributes:
        system: a system message put before messages that have none; empty for none.
        template_args: named arguments of the chat template.
        thinking: the model's thinking format, as given in the recipe; None detects it.
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

    An engine implements `fingerprint`, `identity`, `question` and `generate`; all else has a default that does nothing
    or refuses.

    Attributes:
        name: the name that recipes use.
        capabilities: what it can do besides generating.
        parallel: number of concurrent calls that it benefits from. Calls from several threads are always safe.
        control_tokens: the model's special tokens as text, which judged text must not contain; empty if unknown.
        running: tokens sampled and token limit of each completion that `generate` works on; empty if unknown.
        tokenizer: the model's tokenizer; None if the engine has none, in which case it cannot continue given text.
    """

    name: str = "engine"
    capabilities: frozenset[Capability] = frozenset()
    parallel: int = 1
    control_tokens: Sequence[str] = ()
    running: Sequence[tuple[int, int]] = ()
    tokenizer: Any = None

    @property
    @abstractmethod
    def fingerprint(self) -> str:
        """Identifies the checkpoint (see `lrmctl.models.fingerprint`)."""

    @property
    @abstractmethod
    def identity(self) -> str:
        """The fingerprint and every engine setting that changes completions; never a path, a URL or a key."""

    @property
    def thinking(self) -> Thinking:
        """Whether the model thinks when prompted like this, and its thinking format; unknown by default.

        Raises:
            RecipeError: the recipe names a format other than the template's.
        """
        return UNKNOWN

    def check(self) -> None:
        """Raise if requests cannot succeed, e.g. no such model or no key. Loads no weights. Does nothing by default."""

    def prepare(self) -> None:
        """Load what is slow to load; otherwise the first request does. Does nothing by default."""

    def release(self) -> None:
        """Free memory and connections; the next request acquires them again. Does nothing by default."""

    def facts(self) -> dict[str, Any]:
        """Details to report beside every number: engine, device, dtype, versions. JSON values."""
        return {"name": self.name}

    def render(self, prompt: Prompt) -> str:
        """The text that `generate` continues for a prompt."""
        raise self._refusal("renders no prompts")

    def request(self, prompt: Prompt, sampling: Sampling, sample: int, seed: int) -> GenerationRequest:
        """The request for one sample of a prompt. Engines that force the start of the completion override this."""
        return GenerationRequest(self.render(prompt), sampling, sample, seed)

    def answerable(self, prompts: Sequence[Prompt]) -> list[Prompt]:
        """The prompts that requests can be made for: all by default."""
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
            text: the whole prompt, if no chat template is used.
            prefill: forced beginning of the reply. A chat server does not support this and ignores it.
            template_args: named arguments for the chat template.

        Raises:
            LrmctlError: the messages cannot be rendered completely.
        """

    @abstractmethod
    def generate(self, requests: Sequence[GenerationRequest]) -> Iterator[list[tuple[int, Completion]]]:
        """Completions as they finish, in groups (some empty), each with its request's index; every request once."""

    def trace(self, prompt: Prompt, request: GenerationRequest, completion: Completion) -> Trace:
        """The completion, including the forced text before it, split into thinking and answer. Forced text is part of
        them, but not of their token counts. A failed completion becomes a trace with finish reason `error`."""
        raise self._refusal("makes no traces")

    def first_token_probabilities(
        self, requests: Sequence[GenerationRequest], choices: Sequence[Sequence[str]]
    ) -> list[FirstTokenProbabilities]:
        """For each request, the probability that the reply begins with each of its words, at temperature 1.

        Raises:
            RecipeError: the engine lacks this capability.
        """
        raise self._refusal("gives no probabilities of first tokens", "first_token_probabilities")

    def loglikelihood(self, pairs: Sequence[tuple[str, str]]) -> list[LogLikelihood]:
        """Log-likelihood of each (context, continuation), encoded as lm-evaluation-harness's `hf` model does.

        Raises:
            RecipeError: the engine lacks this capability; servers do not provide these probabilities.
        """
        raise self._refusal("gives no log-likelihoods", "loglikelihood")

    def rolling_loglikelihood(self, texts: Sequence[str]) -> list[float]:
        """Natural-log probability of each whole text, windowed as lm-evaluation-harness's `hf` model does. Part of the
        capability `loglikelihood`.

        Raises:
            RecipeError: the engine lacks this capability.
        """
        raise self._refusal("gives no log-likelihoods", "loglikelihood")

    def token_statistics(
        self, pairs: Sequence[tuple[Sequence[int], Sequence[int]]], *, base: Engine | None = None, top_k: int = 20
    ) -> Iterator[list[tuple[int, TokenStatistics]]]:
        """Statistics of the model's next-token distribution at each token of each continuation.

        Over the whole vocabulary at temperature 1; in groups as they finish, each with its pair's index.

        Args:
            pairs: context ids and continuation ids.
            base: a second engine of the same kind and vocabulary, which scores the same tokens.
            top_k: number of tokens whose probabilities add up to `top_mass`.

        Raises:
            RecipeError: the engine lacks this capability, or the two vocabularies differ.
        """
        raise self._refusal("gives no statistics of whole distributions", "token_statistics")

    def top_logprobs(
        self, pairs: Sequence[tuple[Sequence[int], Sequence[int]]], top_k: int
    ) -> Iterator[list[tuple[int, TopLogprobs]]]:
        """The largest log-probabilities at each token of the continuation of each (context ids, continuation ids).

        Raises:
            RecipeError: the engine lacks this capability.
        """
        raise self._refusal("gives no log-probabilities of given text", "top_logprobs")

    def mean_hidden_states(
        self, pairs: Sequence[tuple[Sequence[int], Sequence[int]]], layer: int
    ) -> NDArray[np.float32]:
        """Mean hidden state of the tokens of each continuation: `[pairs, hidden size]`; zeros for an empty one.

        Args:
            pairs: context ids and continuation ids.
            layer: 0 is the embedding; counted from the end if negative, so that -1 is the last one.

        Raises:
            RecipeError: the engine lacks this capability, or the model has no such layer.
        """
        raise self._refusal("gives no hidden states", "mean_hidden_states")

    def require(self, capability: Capability) -> None:
        """Refuse an unsupported operation before any work starts.

        Raises:
            RecipeError: the engine lacks this capability.
        """
        if capability not in self.capabilities:
            raise self._refusal(f"does not support {capability!r}", capability)

    def _refusal(self, what: str, capability: Capability | None = None) -> RecipeError:
        fix = f"use an engine that can, {' or '.join(WITH[capability])}" if capability else "use another engine"
        return RecipeError(f"the engine {self.name!r} {what}", "engine", fix)


WITH: Mapping[Capability, tuple[str, ...]] = {
    "first_token_probabilities": ("hf", "vllm", "openai"),
    "loglikelihood": ("hf",),
    "token_statistics": ("hf",),
    "top_logprobs": ("openai",),
    "mean_hidden_states": ("hf",),
}
"""The built-in engines with each capability, for error messages."""


@lru_cache
def _settings(sampling: Sampling) -> dict[str, Any]:
    """The sampling settings of a key, without options that older stores do not have."""
    found = asdict(sampling)
    return found if found["end_thinking"] else {name: value for name, value in found.items() if name != "end_thinking"}


def _sha256(*parts: Any) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
