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


def weight_memory(model: ColocatedModel) -> MemoryItem:
    """Its weights in bf16."""
    return MemoryItem(model.name, "weights", 2 * model.shape.parameters, "2 P", "lrmctl/engines/hf/engine.py")


def batch_memory(model: ColocatedModel, length: int) -> MemoryItem:
    """A batch that is read: keys and values of every layer, and one layer's values.

    Counted with half of the longest length a sequence, because a guard reads the thinking or the answer, and because
    a batch of nothing but the longest is rare; a batch is padded to its longest.
    """
    shape = model.shape
    per_token = kv_bytes_per_token(shape) + 2 * (3 * shape.intermediate + 4 * shape.hidden)
    size = int(model.batch * length * _EXPECTED * per_token)
    return MemoryItem(model.name, "batch it reads", size, f"{model.batch} x max_len / 2 x (KV + layer)", RULE)


def with_colocated(
    groups: Sequence[GpuGroup], colocated: Sequence[ColocatedModel], length: int, gpus: int
) -> list[GpuGroup]:
    """The groups, and one more for each GPU that also holds colocated models; rewards are made while samples come in.

    Args:
        gpus: that the run itself uses; a colocated model on another one is alone there.
    """
    found = list(groups)
    for gpu in sorted({g.gpu for g in colocated}):
        here = [g for g in colocated if g.gpu == gpu]
        base = groups[0] if gpu < gpus else None
        name = " + ".join([*([base.name] if base else []), *(g.name for g in here)])
        found.append(GpuGroup(f"{name} (GPU {gpu})", 1, _phases(base, here, length)))
    return found


def _phases(base: GpuGroup | None, colocated: Sequence[ColocatedModel], length: int) -> tuple[StepPhase, ...]:
    resting = tuple(weight_memory(g) for g in colocated)
    context = MemoryItem("reward service", "CUDA context", CONTEXT, "512 MiB", RULE)
    busy = tuple(batch_memory(g, length) for g in colocated)
    if base is None:
        return (StepPhase("rewards", (context, *resting, *busy)),)
    return tuple(
        StepPhase(p.name, (*p.figures, context, *resting, *(busy if p.name == "generate" else ()))) for p in base.phases
    )
