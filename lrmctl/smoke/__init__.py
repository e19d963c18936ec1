"""`lrmctl train --smoke`: the whole pipeline of any recipe on CPU in about a minute, at a tiny scale.

The recipe's algorithm, rewards and flags are kept. The model is a small random one of the same architecture, the data
are a few of its rows, and stand-ins, named as such, replace whatever would load another model. It shows that a recipe
runs, not how good it is. Nothing is downloaded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lrmctl._util.lazy import lazy_names

if TYPE_CHECKING:
    from lrmctl.smoke.chain import SmokeResult, smoke
    from lrmctl.smoke.offline import forbid_network_and_gpu

__all__ = [
    "SmokeResult",
    "forbid_network_and_gpu",
    "smoke",
]

__getattr__ = lazy_names(
    __name__,
    {
        "chain": (
            "SmokeResult",
            "smoke",
        ),
        "offline": ("forbid_network_and_gpu",),
    },
)
