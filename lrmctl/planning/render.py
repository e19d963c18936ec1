"""Formats plans as plain text: byte sizes, large numbers, bars. Knows no terminal."""

from __future__ import annotations

from collections.abc import Sequence

from lrmctl.planning.memory import MemoryEstimate
from lrmctl.planning.memory_items import TIGHT, MemoryItem

GIB = 1024**3
_BLOCKS = " ▏▎▍▌▋▊▉█"


def size(count: int | float | None) -> str:
    """Format bytes: `3.3 GiB`, `12 MiB`."""
    if count is None:
        return "unknown"
    for unit, name in ((GIB, "GiB"), (1024**2, "MiB"), (1024, "KiB")):
        if count >= unit:
            value = count / unit
            return f"{value:.1f} {name}" if value < 100 else f"{value:.0f} {name}"
    return f"{count:.0f} B"


def number(count: int | float | None) -> str:
    """Format a count: `1,280`, `41.9 million`."""
    if count is None:
        return "unknown"
    for unit, name in ((1e9, "billion"), (1e6, "million")):
        if count >= unit:
            return f"{count / unit:.3g} {name}"
    return f"{count:,.0f}" if float(count).is_integer() else f"{count:,.2f}"


def bar(share: float, width: int = 20) -> str:
    """A bar of block characters; `share` is clipped to [0, 1]."""
    eighths = round(max(0.0, min(1.0, share)) * width * 8)
    whole, rest = divmod(eighths, 8)
    return ("█" * whole + (_BLOCKS[rest] if rest else "")).ljust(width)


def largest(figures: Sequence[MemoryItem], n: int = 8) -> list[MemoryItem]:
    """The `n` largest items, largest first."""
    return sorted(figures, key=lambda f: f.bytes, reverse=True)[:n]


def verdict(memory: MemoryEstimate) -> str:
    """One sentence: peak, capacity, verdict."""
    target, peak = memory.target, size(memory.peak)
    if target.capacity is None:
        from lrmctl.planning.gpus import smallest_gpu_for

        enough = smallest_gpu_for(memory.peak)
        known = f"; the smallest GPU that holds it is {enough}" if enough else "; no single GPU known here holds it"
        return f"at least {peak} per GPU (KV cache comes on top in RL){known}. Say layout.gpu_type for a verdict."
    room = f"{memory.peak / target.capacity:.0%} of {size(target.capacity)} ({target.name})"
    verdicts = {"fits": "fits", "tight": f"is tight: above {TIGHT:.0%}", "does not fit": "does NOT fit"}
    sentence = f"{peak} at the peak, {room}: {verdicts.get(memory.verdict, memory.verdict)}"
    if memory.serving is not None and memory.serving.sequences < 1:
        sentence += "; the engine's share holds not one whole sequence"
    return sentence
