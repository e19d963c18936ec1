"""Parts of a memory estimate: items with their formulas, phases of a step, and the verdict on a GPU."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

Verdict = Literal["fits", "tight", "does not fit", "unknown"]
TIGHT = 0.9
"""Share of a GPU above which an estimate is `tight`, because fragmentation uses some of the rest."""

ZERO = "arXiv 1910.02054, section 3"
DEEPSPEED = "deepspeed/runtime/zero"
ACTOR = "openrlhf/models/actor.py"
UTILS = "openrlhf/models/utils.py"
TRANSFORMERS = "transformers' models, measured"
VLLM = "openrlhf/trainer/ray/vllm_engine.py"
RULE = "rule of thumb"


@dataclass(frozen=True)
class MemoryItem:
    """One amount of memory.

    Attributes:
        role: the role that uses it.
        what: weights, gradients, optimizer, activations, logits, ...
        bytes: on one GPU, or on one node's host.
        formula: short, in symbols.
        source: paper id, file of OpenRLHF or DeepSpeed, or `rule of thumb`.
    """

    role: str
    what: str
    bytes: int
    formula: str
    source: str

    def to_json(self) -> dict[str, Any]:
        return {"role": self.role, "what": self.what, "bytes": self.bytes} | {
            "formula": self.formula,
            "source": self.source,
        }


@dataclass(frozen=True)
class StepPhase:
    """What is in one GPU's memory at the same time."""

    name: str
    figures: tuple[MemoryItem, ...]

    @property
    def total(self) -> int:
        return sum(f.bytes for f in self.figures)

    def to_json(self) -> dict[str, Any]:
        return {"phase": self.name, "bytes": self.total, "figures": [f.to_json() for f in self.figures]}


@dataclass(frozen=True)
class GpuGroup:
    """GPUs that hold the same roles. Phases alternate, so the peak is the largest phase, not the sum."""

    name: str
    gpus: int
    phases: tuple[StepPhase, ...]

    @property
    def peak(self) -> StepPhase:
        return max(self.phases, key=lambda p: p.total)

    def to_json(self) -> dict[str, Any]:
        peak = {"peak_bytes": self.peak.total, "peak_phase": self.peak.name}
        return {"group": self.name, "gpus": self.gpus, **peak, "phases": [p.to_json() for p in self.phases]}


def verdict_for(needed: int, capacity: int | None) -> Verdict:
    """Whether `needed` bytes fit into `capacity` bytes."""
    if capacity is None:
        return "unknown"
    if needed > capacity:
        return "does not fit"
    return "tight" if needed > TIGHT * capacity else "fits"


def nonzero(figures: Sequence[MemoryItem]) -> tuple[MemoryItem, ...]:
    """The items that are not zero."""
    return tuple(f for f in figures if f.bytes > 0)
