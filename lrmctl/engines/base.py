"""The words of a generation engine: how to sample one completion, and what comes back.

Knows nothing of models, tokenizers or prompts' meaning; free of torch, so that recipes and stores can import it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

GREEDY_BELOW = 1e-5


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
