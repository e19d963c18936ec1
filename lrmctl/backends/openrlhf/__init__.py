"""The OpenRLHF 0.11 backend: flags, output, failures. The only room that knows its names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lrmctl._util.lazy import lazy_names

if TYPE_CHECKING:
    from lrmctl.backends.openrlhf.backend import OpenRlhf

__all__ = [
    "OpenRlhf",
]

__getattr__ = lazy_names(
    __name__,
    {
        "backend": ["OpenRlhf"],
    },
)
