"""What is asked of an engine and what it gives back: rendered prompts in, token ids out. Free of torch.

A request says everything its completion depends on besides the model, so that a completion can be stored under it and
a seed derived from it: the same request gets the same completion whatever else is in the batch.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from lrmctl.engines.base import Sampling
from lrmctl.types import FinishReason, Prompt, Trace


@dataclass(frozen=True)
class Request:
    """One completion to be drawn.

    Attributes:
        text: the rendered prompt, generation prompt included.
        sample: index among the samples of this prompt, from 0.
        seed: seed of the whole evaluation.
    """

    text: str
    sampling: Sampling
    sample: int = 0
    seed: int = 0

    @property
    def row_seed(self) -> int:
        """Seed of this completion alone, 60 bits. Temperatures share it: the same luck at T=0.6 and T=1."""
        return int(_sha256(self.seed, self.text, self.sample)[:15], 16)

    def key(self, identity: str) -> str:
        """Name of this completion in a store, given the engine's identity."""
        return _sha256(identity, self.text, asdict(self.sampling), self.seed, self.sample)


@dataclass(frozen=True)
class Completion:
    """What an engine answered.

    Attributes:
        ids: token ids without the end-of-text token.
        text: the same decoded, special tokens shown; for people to read.
        error: what went wrong if `finish_reason` is `error`; such a completion is never stored.
    """

    ids: tuple[int, ...]
    text: str
    finish_reason: FinishReason
    error: str = ""


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

    def render(self, prompt: Prompt) -> str: ...

    def generate(self, requests: Sequence[Request]) -> Iterator[list[tuple[int, Completion]]]:
        """Completions as they come, batch by batch, each with its request's index."""
        ...

    def trace(self, prompt: Prompt, request: Request, completion: Completion) -> Trace: ...

    def facts(self) -> dict[str, Any]:
        """What to print beside every number: engine, device, dtype, versions. JSON values."""
        ...


def _sha256(*parts: Any) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
