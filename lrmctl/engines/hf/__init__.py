"""Generation and scoring with transformers in this process, with continuous batching."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lrmctl._util.lazy import lazy_names

if TYPE_CHECKING:
    from lrmctl.engines.hf.batch_sampler import sample
    from lrmctl.engines.hf.engine import HfEngine

__all__ = [
    "HfEngine",
    "sample",
]

__getattr__ = lazy_names(
    __name__,
    {
        "batch_sampler": ("sample",),
        "engine": ("HfEngine",),
    },
)
