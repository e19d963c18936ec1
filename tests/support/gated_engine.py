"""An engine that waits after its first completion until a file exists, so that a test can act in mid-run."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from lrmctl.engines.base import Completion, GenerationRequest
from lrmctl.engines.hf.engine import HfEngine


class GatedEngine(HfEngine):
    """The transformers engine, with a gate after the first completion of each call.

    Args:
        gate: the file; none opens at once.
        fails: raise this error after the first completion.
    """

    def __init__(self, model: Path | str, *, gate: Path | None = None, fails: Any = None, **settings: Any) -> None:
        super().__init__(model, **settings)
        self.gate, self.fails = gate, fails

    def generate(self, requests: Sequence[GenerationRequest]) -> Iterator[list[tuple[int, Completion]]]:
        found = [one for some in super().generate(requests) for one in some]
        yield found[:1]
        if self.fails is not None:
            raise self.fails
        warnings.warn("a worker's warning", RuntimeWarning, stacklevel=1)
        while self.gate is not None and not self.gate.exists():
            time.sleep(0.02)
        for one in found[1:]:
            yield [one]
