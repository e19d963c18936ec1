"""Generation and scoring by vLLM in this process."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lrmctl._util.lazy import lazy_names

if TYPE_CHECKING:
    from lrmctl.engines.vllm.engine import VllmEngine

__all__ = [
    "VllmEngine",
]

__getattr__ = lazy_names(
    __name__,
    {
        "engine": ("VllmEngine",),
    },
)
