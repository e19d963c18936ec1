"""`lrmctl train --smoke`: the whole chain of any recipe on CPU in about a minute, with everything large made small.

What a recipe says of its algorithm, its rewards and its flags is kept; the model is a random one of the same
architecture, the data a few of its rows, and whatever would load another model is a stand-in that says so. It shows
that a recipe runs, never how good it is. Nothing is downloaded.
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
