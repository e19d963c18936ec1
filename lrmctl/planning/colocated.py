"""Memory of the reward service's models (guards, reward models) on the run's GPUs. Bytes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lrmctl.planning.memory_items import RULE, GpuGroup, MemoryItem, StepPhase
from lrmctl.planning.model_shape import ModelShape
from lrmctl.planning.serving_memory import kv_bytes_per_token
from lrmctl.planning.training_memory import CONTEXT

_EXPECTED = 0.5
"""Expected sequence length in a batch, as a share of the longest possible."""


@dataclass(frozen=True)
class ColocatedModel:
    """A model in the reward service's process.

    Attributes:
        gpu: index of the GPU on the machine that runs lrmctl.
        batch: sequences per batch.
    """

    name: str
    shape: ModelShape
    gpu: int
    batch: int


def weight_memory(model: ColocatedModel) -> MemoryItem:
    """Memory of its weights in bf16."""
    return MemoryItem(model.name, "weights", 2 * model.shape.parameters, "2 P", "lrmctl/engines/hf/engine.py")


def batch_memory(model: ColocatedModel, length: int) -> MemoryItem:
    """Memory of one batch: keys and values of all layers, and the activations of one layer.

    Assumes half of the longest length per sequence, because a guard reads only the thinking or the answer, and a batch
    is padded to its own longest sequence, which is rarely the longest possible.
    """
    shape = model.shape
    per_token = kv_bytes_per_token(shape) + 2 * (3 * shape.intermediate + 4 * shape.hidden)
    size = int(model.batch * length * _EXPECTED * per_token)
    return MemoryItem(model.name, "batch it reads", size, f"{model.batch} x max_len / 2 x (KV + layer)", RULE)


def with_colocated(
    groups: Sequence[GpuGroup], colocated: Sequence[ColocatedModel], length: int, gpus: int
) -> list[GpuGroup]:
    """Add a group for each GPU that also holds colocated models. They are busy in the generate phase.

    Args:
        gpus: number of GPUs of the run itself; colocated models on other GPUs have them to themselves.
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
