"""Rewards from lrmctl's reward service, over HTTP, and the metrics of a step that its replies hold."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, get_args

from lrmctl import Kind

WAIT_S = 180.0
"""Seconds that a call waits; a sample waits for the others of its group."""
TRIES = 5
"""Calls of one sample: the service answers 503 where it has to be called again."""
CALLS_AT_ONCE = 256
_PAUSE_S = 1.0


class ServiceReward:
    """A reward function for GRPOTrainer that asks lrmctl's service.

    A reward that failed is not 0: the service ends the run, or answers with the mean of the other samples of the
    prompt, as the recipe's `on_failure` says.

    Args:
        url: of the service, with its token.
        tokenizer: decodes completions with their special tokens, which the service needs to see.

    Attributes:
        metrics: of the last batch that was scored.
    """

    __name__ = "lrmctl"

    def __init__(self, url: str, tokenizer: Any) -> None:
        self._url, self._tokenizer = url, tokenizer
        # the service is never behind a proxy
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        self.metrics: dict[str, float] = {}

    def __call__(
        self, *, prompts: Sequence[str], completion_ids: Sequence[Sequence[int]], label: Sequence[str], **_: Any
    ) -> list[float]:
        """One reward for each sample, in order."""
        texts = [self._tokenizer.decode(ids, skip_special_tokens=False) for ids in completion_ids]
        calls = [
            json.dumps({"query": [prompt + text], "prompts": [prompt], "labels": [told]}).encode()
            for prompt, text, told in zip(prompts, texts, label, strict=True)
        ]
        with ThreadPoolExecutor(min(len(calls), CALLS_AT_ONCE)) as pool:
            replies = list(pool.map(self._ask, calls))
        self.metrics = means(replies)
        return [float(reply["rewards"]) for reply in replies]

    def _ask(self, body: bytes) -> Mapping[str, Any]:
        """The reply to one call.

        Raises:
            RuntimeError: the service refuses the call, or has no answer after several.
        """
        request = urllib.request.Request(self._url, body, {"content-type": "application/json"})
        last = ""
        for _ in range(TRIES):
            try:
                with self._opener.open(request, timeout=WAIT_S) as reply:
                    found: Mapping[str, Any] = json.load(reply)
                    return found
            except urllib.error.HTTPError as error:
                last = error.read().decode(errors="replace")[:200]
                if error.code != 503:
                    break
            except OSError as error:  # the service died; another one takes its place
                last = str(error)
            time.sleep(_PAUSE_S)
        raise RuntimeError(f"no reward from lrmctl's service: {last}")


def means(replies: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Metrics of a batch of replies: mean reward, share of failed ones, means by kind and by component."""
    sums: dict[str, float] = {}
    for reply in replies:
        for key, value in reply["extra_logs"].items():
            sums[key] = sums.get(key, 0.0) + value
    n = len(replies)
    found = {"reward": sum(float(reply["rewards"]) for reply in replies) / n}
    found["reward_failed"] = sums.pop("failed_rollout", 0.0) / n
    pairs = {kind: (f"reward_{kind}", f"is_{kind}") for kind in get_args(Kind)}
    components = [key.removeprefix("applies_") for key in sums if key.startswith("applies_")]
    pairs |= {name: (name, f"applies_{name}") for name in components}
    for name, (total, share) in pairs.items():
        if sums.get(share, 0.0) > 0:
            found[f"reward/{name}"] = sums[total] / sums[share]
    return found
