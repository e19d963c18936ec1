"""Generation and scoring by OpenAI-compatible servers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lrmctl._util.lazy import lazy_names

if TYPE_CHECKING:
    from lrmctl.engines.openai.engine import OpenAiEngine

__all__ = [
    "OpenAiEngine",
]

__getattr__ = lazy_names(
    __name__,
    {
        "engine": ("OpenAiEngine",),
    },
)
