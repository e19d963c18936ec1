"""Probabilities that engines report for given words, texts and tokens."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class LogLikelihood(NamedTuple):
    """Score of a given continuation: log-probability of all its tokens (natural), and whether each is the likeliest."""

    logprob: float
    greedy: bool


@dataclass(frozen=True)
class FirstTokenProbabilities:
    """Probability that a reply begins with each of some words.

    Attributes:
        probabilities: for each word in [0, 1], as given by the model, not normalised over the words. A missing word was
            not among the tokens that the engine could see.
        error: why there are none.
        too_long: the prompt exceeds the model's context; `error` says so.
    """

    probabilities: Mapping[str, float] = field(default_factory=dict)
    error: str = ""
    too_long: bool = False


class TokenStatistics(NamedTuple):
    """A model's distribution at each token of a text, over the whole vocabulary at temperature 1; float32 `[tokens]`.

    Attributes:
        entropy: -sum p ln p, in nats.
        varentropy: the variance of -ln p under p, in nats squared.
        top_mass: total probability of the k most likely tokens.
        logprob: ln p of the actual token.
        base_entropy: the entropy of a base model's distribution q over the same tokens; None without a base.
        kl: sum p (ln p - ln q), in nats.
        log_ratio: ln p - ln q of the actual token.
    """

    entropy: NDArray[np.float32]
    varentropy: NDArray[np.float32]
    top_mass: NDArray[np.float32]
    logprob: NDArray[np.float32]
    base_entropy: NDArray[np.float32] | None = None
    kl: NDArray[np.float32] | None = None
    log_ratio: NDArray[np.float32] | None = None


class TopLogprobs(NamedTuple):
    """The largest log-probabilities at each token of a text, as returned by servers.

    Attributes:
        top: float32 `[tokens, k]`, largest first; -inf where fewer were returned.
        logprob: of the actual token, float32 `[tokens]`.
    """

    top: NDArray[np.float32]
    logprob: NDArray[np.float32]
