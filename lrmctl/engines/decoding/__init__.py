"""Decoding modes: thinking can be skipped, shortened, extended, capped or prefilled with a given thought."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lrmctl._util.lazy import lazy_names

if TYPE_CHECKING:
    from lrmctl.engines.decoding.engine import steered

__all__ = [
    "steered",
]

__getattr__ = lazy_names(
    __name__,
    {
        "engine": ("steered",),
    },
)
