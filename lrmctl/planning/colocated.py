"""Models of the reward service (guards, reward models) on GPUs that the run uses: memory beside the roles. Bytes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lrmctl.planning.memory_items import RULE, GpuGroup, MemoryItem, StepPhase
from lrmctl.planning.model_shape import ModelShape
from lrmctl.planning.serving_memory import kv_bytes_per_token
from lrmctl.planning.training_memory import CONTEXT

_EXPECTED = 0.5
"""Length of the sequences of a batch, of the longest there can be."""


@dataclass(frozen=True)
class ColocatedModel:
    """A model in the reward service's process.

    Attributes:
        gpu: index of the GPU on lrmctl's machine.
        batch: sequences that it reads at once.
    """

    name: str
    shape: ModelShape
    gpu: int
    batch: int


def weights(guest: ColocatedModel) -> MemoryItem:
    """Its weights in bf16."""
    return MemoryItem(guest.name, "weights", 2 * guest.shape.parameters, "2 P", "lrmctl/engines/hf/engine.py")


def reading(guest: ColocatedModel, length: int) -> MemoryItem:
    """A batch that is read: keys and values of every layer, and one layer's values.

    Counted with half of the longest length a sequence, because a guard reads the thinking or the answer, and because
    a batch of nothing but the longest is rare; a batch is padded to its longest.
    """
    shape = guest.shape
    per_token = kv_bytes_per_token(shape) + 2 * (3 * shape.intermediate + 4 * shape.hidden)
    size = int(guest.batch * length * _EXPECTED * per_token)
    return MemoryItem(guest.name, "batch it reads", size, f"{guest.batch} x max_len / 2 x (KV + layer)", RULE)


def with_guests(groups: Sequence[GpuGroup], guests: Sequence[ColocatedModel], length: int, gpus: int) -> list[GpuGroup]:
    """The groups, and one more for each GPU that also holds guests; rewards are made while samples come in.

    Args:
        gpus: that the run itself uses; a guest on a further one is alone there.
    """
    found = list(groups)
    for gpu in sorted({g.gpu for g in guests}):
        here = [g for g in guests if g.gpu == gpu]
        base = groups[0] if gpu < gpus else None
        name = " + ".join([*([base.name] if base else []), *(g.name for g in here)])
        found.append(GpuGroup(f"{name} (GPU {gpu})", 1, _phases(base, here, length)))
    return found


def _phases(base: GpuGroup | None, guests: Sequence[ColocatedModel], length: int) -> tuple[StepPhase, ...]:
    resting = tuple(weights(g) for g in guests)
    context = MemoryItem("reward service", "CUDA context", CONTEXT, "512 MiB", RULE)
    busy = tuple(reading(g, length) for g in guests)
    if base is None:
        return (StepPhase("rewards", (context, *resting, *busy)),)
    return tuple(
        StepPhase(p.name, (*p.figures, context, *resting, *(busy if p.name == "generate" else ()))) for p in base.phases
    )
