"""GPU types and the memory that their driver reports, which differs from the advertised size."""

from __future__ import annotations

from collections.abc import Mapping

from lrmctl._util.suggest import did_you_mean
from lrmctl.errors import RecipeError

GIB = 1024**3

_MIB: Mapping[str, int] = {
    "T4-16GB": 15360,
    "V100-32GB": 32768,
    "A10-24GB": 23028,
    "A100-40GB": 40960,
    "A100-80GB": 81920,
    "A6000-48GB": 49140,
    "L4-24GB": 23034,
    "L40S-48GB": 46068,
    "RTX-3090-24GB": 24576,
    "RTX-4090-24GB": 24564,
    "RTX-5090-32GB": 32607,
    "H20-96GB": 97871,
    "H100-80GB": 81559,
    "H200-141GB": 143771,
    "B200-192GB": 183359,
}
"""Total memory as printed by `nvidia-smi`, MiB."""

NAMES = tuple(_MIB)


def gpu_memory(name: str) -> int:
    """Memory of a GPU type in bytes, as its driver reports it.

    Raises:
        RecipeError: the type is not in the table.
    """
    by_case = {known.lower(): known for known in NAMES}
    if name.lower() not in by_case:
        raise RecipeError(
            f"there is no GPU type called {name!r} here", "layout.gpu_type", did_you_mean(name, NAMES) or ""
        )
    return _MIB[by_case[name.lower()]] * 1024**2


def smallest_gpu_for(needed: int, share: float = 0.9) -> str:
    """The smallest GPU type on which `needed` bytes use at most `share` of the memory; empty if there is none."""
    fitting = [name for name in NAMES if needed <= share * _MIB[name] * 1024**2]
    return min(fitting, key=lambda name: _MIB[name], default="")
