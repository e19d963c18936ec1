"""Memory per GPU and per host of a whole run, by phase, and the peak. Bytes.

Colocated roles take turns, so the peak is the largest phase. Roles with their own GPUs have their own phases. On CPU
everything is in one host's memory at the same time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from lrmctl.planning import training_memory as train
from lrmctl.planning.colocated import ColocatedModel, with_colocated
from lrmctl.planning.layout import Placement, separate_engines
from lrmctl.planning.memory_items import RULE, GpuGroup, MemoryItem, StepPhase, Verdict, nonzero, verdict_for
from lrmctl.planning.model_shape import ModelShape
from lrmctl.planning.serving_memory import GPU_SHARE, ServingMemory, serving
from lrmctl.planning.training_memory import TrainedModelMemory
from lrmctl.planning.workload import Lengths, critic, reference, trained
from lrmctl.recipe.schema.preference import PreferenceRecipe
from lrmctl.recipe.schema.recipes import OfflineRecipe, RlRecipe


@dataclass(frozen=True)
class GpuTarget:
    """The hardware that the estimate is compared with.

    Attributes:
        capacity: bytes of one GPU (on CPU: of the host); None if not specified.
        name: of the GPU type.
    """

    device: str
    dtype: str
    capacity: int | None = None
    name: str = ""


@dataclass(frozen=True)
class MemoryEstimate:
    """The estimate of a run.

    Attributes:
        groups: GPUs that hold the same roles (on CPU: the one host).
        host: host memory of one node.
        serving: how the rollout engine uses its share, if the GPU type is known.
    """

    target: GpuTarget
    groups: tuple[GpuGroup, ...]
    host: tuple[MemoryItem, ...]
    serving: ServingMemory | None = None

    @property
    def peak(self) -> int:
        return max(g.peak.total for g in self.groups)

    @property
    def verdict(self) -> Verdict:
        """Verdict on the largest group; does not fit if the engine's cache cannot hold a single sequence."""
        if self.serving is not None and self.serving.sequences < 1:
            return "does not fit"
        return verdict_for(self.peak, self.target.capacity)

    def to_json(self) -> dict[str, Any]:
        return {
            "gpu_type": self.target.name,
            "capacity_bytes": self.target.capacity,
            "peak_bytes": self.peak,
            "verdict": self.verdict,
            "groups": [g.to_json() for g in self.groups],
            "host": [f.to_json() for f in self.host],
            "serving": self.serving.to_json() if self.serving else None,
        }


def estimate(
    recipe: OfflineRecipe | RlRecipe,
    shape: ModelShape,
    placed: Placement,
    target: GpuTarget,
    lengths: Lengths,
    critic_shape: ModelShape | None = None,
    colocated: Sequence[ColocatedModel] = (),
) -> MemoryEstimate:
    """Worst-case memory of a run: every sequence of a micro-batch has the longest possible length."""
    model = trained(recipe, shape, lengths, target.device, target.dtype)
    if target.device == "cpu":
        return _on_host(recipe, model, placed, target, critic_shape or shape)
    if isinstance(recipe, OfflineRecipe):
        per_node = recipe.layout.gpus
        group = GpuGroup("trainer", model.processes, _offline(recipe, model, placed))
        return MemoryEstimate(target, (group,), _host([model], per_node, False))
    memory = _rl(recipe, model, placed, target, lengths, critic_shape or shape)
    groups = with_colocated(memory.groups, colocated, lengths.sequence(recipe), placed.gpus)
    return replace(memory, groups=tuple(groups))


def _offline(recipe: OfflineRecipe, model: TrainedModelMemory, placed: Placement) -> tuple[StepPhase, ...]:
    """An update; in preference training beside the reference, whose pass comes while the trained model's
    activations and logits are kept for the backward pass."""
    base = tuple(train.process(model, True))
    if not isinstance(recipe, PreferenceRecipe):
        return (StepPhase("update", (*base, *train.update(model))),)
    frozen = reference(recipe, model, placed)
    states = (*train.resident(model), train.weights(frozen))
    kept = (train.activations(model)[0], train.logits_held(model))
    comparing = StepPhase("reference pass", nonzero([*base, *states, *kept, *train.forward(frozen)]))
    return (comparing, StepPhase("update", (*base, train.weights(frozen), *train.update(model))))


def _rl(
    recipe: RlRecipe,
    actor: TrainedModelMemory,
    placed: Placement,
    target: GpuTarget,
    lengths: Lengths,
    critic_shape: ModelShape,
) -> MemoryEstimate:
    frozen = reference(recipe, actor, placed) if placed.role("reference") else None
    value = critic(recipe, critic_shape, actor, placed, True, target.dtype) if placed.role("critic") else None
    engine = _engine(recipe, actor.shape, target, lengths)
    models = [m for m in (actor, frozen, value) if m is not None]
    groups = _together(recipe, models, engine) if placed.colocated else _apart(models)
    if separate_engines(recipe):
        size = placed.role("rollout engine")
        share = StepPhase("generate", _share(recipe, actor.shape, engine))
        groups = [*groups, GpuGroup("rollout engine", size.gpus if size else 0, (share,))]
    learners = [m for m in (actor, value) if m is not None]
    host = _host(learners, recipe.layout.gpus, placed.colocated)
    return MemoryEstimate(target, tuple(groups), (*host, *_rl_host(recipe, actor, placed)), engine)


def _engine(recipe: RlRecipe, shape: ModelShape, target: GpuTarget, lengths: Lengths) -> ServingMemory | None:
    if target.capacity is None:
        return None
    return serving(
        shape,
        target.capacity,
        gpu_share(recipe),
        length=lengths.sequence(recipe),
        tensor_parallel=recipe.layout.tensor_parallel,
        graphs=recipe.rollout.cuda_graphs,
    )


def gpu_share(recipe: RlRecipe) -> float:
    """Share of a GPU's memory that vLLM takes."""
    return recipe.rollout.gpu_memory or GPU_SHARE[recipe.layout.placement]


def _share(recipe: RlRecipe, shape: ModelShape, engine: ServingMemory | None) -> tuple[MemoryItem, ...]:
    """The engine's memory; only its weights are known without a GPU type."""
    if engine is None:
        size = 2 * shape.parameters // recipe.layout.tensor_parallel
        return (MemoryItem("rollout engine", "weights", size, "2 P / tensor_parallel (KV cache comes on top)", RULE),)
    beyond = -min(0, engine.kv_cache)
    lacking = MemoryItem("rollout engine", "beyond its share", beyond, "what its share lacks", RULE)
    return nonzero([*engine.figures, lacking])


def _together(recipe: RlRecipe, models: Sequence[TrainedModelMemory], engine: ServingMemory | None) -> list[GpuGroup]:
    """All roles on the same GPUs. Inactive optimizer states and gradients are offloaded; bf16 weights stay."""
    contexts = [f for m in models for f in train.process(m, True)]
    stay = [*contexts, *(train.weights(m) for m in models)]
    phases = []
    if not separate_engines(recipe):
        phases.append(StepPhase("generate", (*stay, *_share(recipe, models[0].shape, engine))))
        stay.append(MemoryItem("rollout engine", "CUDA context", train.CONTEXT, "512 MiB", RULE))
    work = max((train.forward(m) for m in models), key=lambda figures: sum(f.bytes for f in figures))
    phases.append(StepPhase("experience", (*stay, *work)))
    for model in models:
        if model.role != "reference":
            others = [f for f in stay if (f.role, f.what) != (model.role, "weights")]
            phases.append(StepPhase(f"update {model.role}", (*others, *train.update(model))))
    return [GpuGroup(" + ".join(_names(recipe, models)), models[0].processes, tuple(phases))]


def _names(recipe: RlRecipe, models: Sequence[TrainedModelMemory]) -> list[str]:
    return [*(m.role for m in models), *([] if separate_engines(recipe) else ["rollout engine"])]


def _apart(models: Sequence[TrainedModelMemory]) -> list[GpuGroup]:
    """Each role on its own GPUs: nothing is offloaded."""
    groups = []
    for model in models:
        base = train.process(model, True)
        if model.role == "reference":
            phases = [StepPhase("experience", (*base, train.weights(model), *train.forward(model)))]
        else:
            states = train.resident(model)
            passing = StepPhase("experience", nonzero([*base, *states, *train.forward(model)]))
            phases = [passing, StepPhase("update", (*base, *train.update(model)))]
        groups.append(GpuGroup(model.role, model.processes, tuple(phases)))
    return groups


def _host(models: Sequence[TrainedModelMemory], per_node: int, sleeps: bool) -> tuple[MemoryItem, ...]:
    """Host memory that the processes of one node use."""
    figures = []
    for model in models:
        for one in train.host_bytes(model, sleeps):
            figures.append(replace(one, bytes=one.bytes * per_node, formula=f"{one.formula}, x {per_node} processes"))
    return tuple(figures)


def _rl_host(recipe: RlRecipe, actor: TrainedModelMemory, placed: Placement) -> tuple[MemoryItem, ...]:
    """Host copies of a sleeping engine's weights, and of the moving average."""
    per_node, weights = recipe.layout.gpus, 2 * actor.shape.parameters
    figures = []
    if placed.colocated and not separate_engines(recipe):
        size = weights * per_node // recipe.layout.tensor_parallel
        figures.append(MemoryItem("rollout engine", "sleeping weights", size, "2 P per engine", "vLLM, sleep level 1"))
    if recipe.algorithm.ema is not None:
        whole = weights * (1 if recipe.optimizer.zero_stage == 3 else per_node)
        figures.append(
            MemoryItem("actor", "running average", whole, "2 P per process", "openrlhf/trainer/ray/ppo_actor.py")
        )
    return tuple(figures)


def _on_host(
    recipe: OfflineRecipe | RlRecipe,
    model: TrainedModelMemory,
    placed: Placement,
    target: GpuTarget,
    critic_shape: ModelShape,
) -> MemoryEstimate:
    """One host's memory: each role is a process, and nothing is offloaded."""
    base = 600 * 1024**2  # a Python process with torch, DeepSpeed and Ray
    names = [r.name for r in placed.roles]
    figures = [MemoryItem(name, "process", base, "600 MiB", RULE) for name in names]
    figures += train.update(model)
    if isinstance(recipe, PreferenceRecipe):
        figures.append(train.weights(reference(recipe, model, placed)))
    if isinstance(recipe, RlRecipe):
        size = model.element * model.shape.parameters
        figures.append(MemoryItem("rollout engine", "weights", size, f"{model.element} P", RULE))
        if placed.role("reference"):
            figures.append(train.weights(reference(recipe, model, placed)))
        if placed.role("critic"):
            figures += train.update(critic(recipe, critic_shape, model, placed, False, target.dtype))
    return MemoryEstimate(target, (GpuGroup("host", 1, (StepPhase("update", nonzero(figures)),)),), ())
