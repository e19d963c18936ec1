"""Generates completions into the store, and reads them back in parts, so that evaluations of any size fit into memory.

Knows no judge and no benchmark. Failures are kept until the evaluation ends, since the store does not contain them.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from lrmctl.engines.base import Completion, Engine, GenerationRequest, OnProgress, Sampling
from lrmctl.engines.store import Store, distinct_samples, generate_into
from lrmctl.errors import LrmctlError
from lrmctl.types import Prompt, Trace

_PACKAGE = str(Path(__file__).parents[1])
AT_ONCE = 2_000
"""Completions in memory at the same time."""


@dataclass
class Generation:
    """The completions to generate, and the engine that does it.

    Attributes:
        samples: per prompt and sampling; greedy sampling gives one.
        failed: errors by request.
    """

    engine: Engine
    store: Store
    sampling: tuple[Sampling, ...]
    samples: int
    seed: int
    failed: dict[GenerationRequest, Completion] = field(default_factory=dict)

    @property
    def each(self) -> int:
        """Number of completions per prompt."""
        return sum(distinct_samples(how, self.samples) for how in self.sampling)

    def fill(self, prompts: Sequence[Prompt], tell: OnProgress) -> None:
        """Generate what is not in the store yet, all at once so that batches are full.

        Args:
            tell: called with (completions done, completions in all).
        """
        asked = [request for how in self.sampling for _, request in self._asked(prompts, how)]
        missing = self._missing(asked)
        done = len(asked) - len(missing)
        tell(done, len(asked))
        for found, more in generate_into(self.store, self.engine, missing):
            self.failed |= {request: c for request, c in found if c.finish_reason == "error"}
            tell(done + more, len(asked))

    def traces(self, prompts: Sequence[Prompt], how: Sampling) -> Iterator[list[Trace]]:
        """The traces of generated prompts, by prompt, then sample, some prompts at a time."""
        per_prompt = distinct_samples(how, self.samples)
        step = max(1, AT_ONCE // per_prompt)
        for start in range(0, len(prompts), step):
            asked = self._asked(prompts[start : start + step], how)
            have = self.store.get(self.engine.identity, [request for _, request in asked])
            found = [have[i] if i in have else self.failed[request] for i, (_, request) in enumerate(asked)]
            yield [
                replace(self.engine.trace(prompt, request, one), error=one.error)
                for (prompt, request), one in zip(asked, found, strict=True)
            ]

    def _asked(self, prompts: Sequence[Prompt], how: Sampling) -> list[tuple[Prompt, GenerationRequest]]:
        first = [(prompt, self.engine.request(prompt, how, 0, self.seed)) for prompt in prompts]
        return [
            (prompt, replace(one, sample=i))
            for prompt, one in first
            for i in range(distinct_samples(how, self.samples))
        ]

    def _missing(self, asked: Sequence[GenerationRequest]) -> list[GenerationRequest]:
        """Requests that are not in the store, without duplicates."""
        missing: dict[GenerationRequest, None] = {}
        for start in range(0, len(asked), AT_ONCE):
            some = asked[start : start + AT_ONCE]
            have = self.store.get(self.engine.identity, some)
            missing |= {request: None for i, request in enumerate(some) if i not in have}
        return list(missing)


@contextmanager
def noted(notes: list[str]) -> Iterator[None]:
    """Collects warnings (out of memory, a server that ignores its sampling), each once."""
    shown = warnings.showwarning

    def show(message: Any, category: Any, *where: Any, **more: Any) -> None:
        if issubclass(category, (RuntimeWarning, UserWarning)) and where and _PACKAGE in str(where[0]):
            notes.extend({str(message)} - set(notes))
        shown(message, category, *where, **more)

    warnings.showwarning = show
    try:
        yield
    finally:
        warnings.showwarning = shown


def refuse_failures(failed: int, total: int, first: str, most: float) -> str:
    """A sentence about failed completions, empty if there are none.

    Raises:
        LrmctlError: more failed than the evaluation tolerates.
    """
    if not failed:
        return ""
    what = f"{failed} of {total} completions failed; the first: {first}"
    if failed > most * total:
        fix = (
            "run the same command again: only the failed ones are asked for; where that cannot help, as with prompts "
            "that are too long, leave them out, or raise `max_failed`, the share that may fail"
        )
        raise LrmctlError(what, fix=fix)
    return f"{what}; they are left out of every rate and counted as generation_failed"
