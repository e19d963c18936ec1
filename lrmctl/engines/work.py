"""How much of a generation is done, in tokens: sampled ones over sampled plus expected ones.

With many rows side by side the first completions to finish are the short ones, so that their number says little about
the time left.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from lrmctl._util.progress import Done
from lrmctl.engines.base import Completion, Engine, GenerationRequest


class WorkMeter:
    """Measures the work of one call of `Engine.generate`.

    Args:
        requests: those of the call.
    """

    def __init__(self, engine: Engine, requests: Sequence[GenerationRequest]) -> None:
        self._engine = engine
        self._all, self._finished = len(requests), 0
        self._tokens, self._stops = 0, 0
        self._limits = sum(request.sampling.max_new_tokens for request in requests)

    def saw(self, found: Sequence[tuple[GenerationRequest, Completion]]) -> Done:
        """The number of finished completions, with the work done, after some more have finished."""
        for request, completion in found:
            self._finished += 1
            self._limits -= request.sampling.max_new_tokens
            self._tokens += completion.count
            self._stops += completion.finish_reason == "stop"
        share = self._share(self._engine.running)
        return Done(self._finished, self._finished if share is None else share * self._all)

    def _share(self, running: Sequence[tuple[int, int]]) -> float | None:
        """Share of the tokens that are sampled already; None if the engine does not say what is running.

        The lengths of unfinished completions are estimated as if each token had the same probability of being the last:
        the number of completions that ended by themselves, over all tokens sampled so far (the maximum likelihood
        estimate of a geometric distribution with censored lengths).
        """
        rest = self._all - self._finished
        if not rest or not running:
            return None if rest else 1.0
        sampled = self._tokens + sum(tokens for tokens, _ in running)
        ends = self._stops / sampled if sampled else 0.0
        left = sum(expected_tokens(limit - tokens, ends) for tokens, limit in running)
        if unstarted := rest - len(running):
            limit = max(0, self._limits - sum(limit for _, limit in running)) / unstarted
            left += unstarted * expected_tokens(limit, ends)
        return sampled / (sampled + left) if sampled else 0.0


def expected_tokens(most: float, ends: float) -> float:
    """Expected number of further tokens of a completion.

    Args:
        most: tokens up to its limit.
        ends: probability of each token to be the last.
    """
    return -math.expm1(-ends * most) / ends if ends else most
