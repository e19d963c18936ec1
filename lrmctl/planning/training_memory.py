"""Memory of a model trained, or run forward without gradients, by DeepSpeed in OpenRLHF. Bytes.

Symbols: P parameters, T tokens of one micro-batch on one GPU, L layers, h hidden size, q width of all queries, kv width
of all keys, I width of the MLP, V vocabulary size, N processes that shard the model states, e bytes per element.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

from lrmctl.planning.memory_items import ACTOR, DEEPSPEED, RULE, TRANSFORMERS, UTILS, ZERO, MemoryItem, nonzero
from lrmctl.planning.model_shape import ModelShape
from lrmctl.recipe.schema.sections import Lora

CONTEXT = 512 * 1024**2
"""CUDA context and libraries of one process."""
NCCL = 256 * 1024**2
"""Communication buffers of a process in a group of several."""
_BUCKET = 500_000_000  # elements; DeepSpeed's default, which OpenRLHF keeps
_LIVE = 1_000_000_000  # elements; stage3_max_live_parameters


@dataclass(frozen=True)
class TrainedModelMemory:
    """Settings that determine a trained model's memory.

    Attributes:
        role: the role of the model.
        element: bytes per weight, gradient and activation: 2 (bf16, fp16) or 4 (fp32, CPU only).
        processes: number of processes that shard optimizer states, gradients and weights, as ZeRO's stage says.
        tokens: per micro-batch with gradients on one process.
        forward_tokens: per micro-batch without gradients; 0 if there is no such pass.
        head: width of the output: the vocabulary, or 1 for a critic.
        temperature: of the rollouts; logits are divided by it in place unless it is 1.
        entropy: entropy is part of the loss.
        cuda: log-probabilities come from flash-attention's kernel, which keeps no copy of the logits. On CPU they do
            not, and memory that is allocated but not used (the reduce bucket) is not resident.
    """

    role: str
    shape: ModelShape
    element: int
    processes: int
    zero_stage: int
    offload: bool
    checkpointing: bool
    tokens: int
    forward_tokens: int = 0
    head: int = 0
    temperature: float = 1.0
    entropy: bool = False
    cuda: bool = True
    lora: Lora | None = None

    @property
    def parameters(self) -> int:
        """Parameters of the model; a critic has a single output column instead of the head."""
        if self.head == 1:
            untied = 0 if self.shape.tied else self.shape.embedding_parameters
            return self.shape.parameters - untied + self.shape.hidden
        return self.shape.parameters

    @property
    def trainable(self) -> int:
        return lora_parameters(self.shape, self.lora) if self.lora else self.parameters


def lora_parameters(shape: ModelShape, lora: Lora) -> int:
    """Adapter parameters: rank x (inputs + outputs) of every adapted linear layer (arXiv 2106.09685)."""
    adapted = [(a, b) for name, a, b in shape.linears if "all-linear" in lora.targets or name in lora.targets]
    return shape.layers * sum(lora.rank * (a + b) for a, b in adapted)


def _figure(role: str, what: str, size: float, formula: str, source: str) -> MemoryItem:
    return MemoryItem(role, what, ceil(size), formula, source)


def weights(model: TrainedModelMemory) -> MemoryItem:
    """The weights used by forward and backward passes."""
    adapters = model.trainable if model.lora else 0
    total = (model.parameters + adapters) * model.element
    shared = model.processes if model.zero_stage == 3 else 1
    formula = f"{model.element} P" + (" / N" if shared > 1 else "")
    return _figure(model.role, "weights", total / shared, formula, ZERO)


def optimizer(model: TrainedModelMemory) -> MemoryItem:
    """fp32 master weights and Adam's two moments."""
    shared = model.processes if model.zero_stage else 1
    size = 12 * model.trainable / shared
    return _figure(model.role, "optimizer", size, "12 P" + (" / N" if shared > 1 else ""), ZERO)


def gradients(model: TrainedModelMemory) -> MemoryItem:
    """Gradients kept until the optimizer step; with offload and stage 2 or 3 they are on the host."""
    shared = model.processes if model.zero_stage >= 2 else 1
    away = model.offload and model.zero_stage >= 2
    size = 0 if away else model.element * model.trainable / shared
    return _figure(model.role, "gradients", size, f"{model.element} P" + (" / N" if shared > 1 else ""), ZERO)


def buffers(model: TrainedModelMemory) -> list[MemoryItem]:
    """DeepSpeed's buffers in addition to the model states."""
    if model.zero_stage == 0:
        return []
    twice = 2 if model.zero_stage == 3 else 1  # overlap_comm is on by default only in stage 3
    elements = _BUCKET if model.cuda else min(_BUCKET, model.trainable)
    bucket = _figure(
        model.role,
        "reduce bucket",
        twice * elements * model.element,
        f"{twice * model.element} x {elements:.0e}",
        f"{DEEPSPEED}/config.py: reduce_bucket_size",
    )
    if model.zero_stage < 3 or model.processes == 1:
        return [bucket]
    live = min(model.parameters, _LIVE) * model.element
    gathered = _figure(
        model.role,
        "gathered weights",
        live,
        f"at most {model.element} x 1e9",
        f"{DEEPSPEED}/config.py: stage3_max_live_parameters",
    )
    return [bucket, gathered]


def layer_bytes(shape: ModelShape, element: int) -> int:
    """Bytes that one layer keeps per token for the backward pass, with flash attention.

    Per norm 4h (fp32 copy) + 2eh (normalized, output); attention e(2q + 2kv) + 4 per head; MLP 4eI. Qwen3 adds
    (4 + e)(q + kv) for the norms of queries and keys. Derived from transformers' modeling files.
    """
    e, h, q, kv = element, shape.hidden, shape.query, shape.kv
    norms = 2 * (4 * h + 2 * e * h + 4)
    attention = e * (2 * q + 2 * kv) + 4 * shape.heads
    head_norms = (4 + e) * (q + kv) + 4 * (shape.heads + shape.kv_heads) if shape.qk_norm else 0
    return norms + attention + head_norms + 4 * e * shape.intermediate


def activations(model: TrainedModelMemory) -> list[MemoryItem]:
    """Activations kept for the backward pass of `T` tokens, and its working memory."""
    shape, e, t = model.shape, model.element, model.tokens
    layer = layer_bytes(shape, e) * t
    ends = (4 + 2 * e) * shape.hidden * t  # the final norm
    if not model.checkpointing:
        kept = _figure(model.role, "activations", shape.layers * layer + ends, "L T layer", TRANSFORMERS)
        return [kept]
    inputs = e * shape.hidden * shape.layers * t
    scratch = 2 * e * shape.intermediate * t  # gradients inside the MLP
    return [
        _figure(model.role, "checkpoints", inputs + ends, f"{e} L T h", "arXiv 1604.06174; " + ACTOR),
        _figure(model.role, "one layer again", layer + scratch, "T (layer + 2 e I)", TRANSFORMERS),
    ]


def logits_held(model: TrainedModelMemory) -> MemoryItem:
    """fp32 logits, alive for the whole backward pass because OpenRLHF returns them with the log-probabilities."""
    size = 4 * model.head * model.tokens
    return _figure(model.role, "logits", size, "4 V T (fp32)", f"{ACTOR}: forward")


def logits_backward(model: TrainedModelMemory) -> MemoryItem:
    """Peak of the logits' gradients, in addition to the logits themselves.

    The fp32 gradient and its copy in the weights' dtype or, if the rollout temperature is not 1, a second fp32 one (for
    the division); without the fused kernel two more, for gather and logsumexp.
    """
    copies = [4, 4 if model.temperature != 1.0 else model.element]
    if not model.cuda:
        copies += [4, 4]
    if model.entropy:
        copies.append(4)
    size = sum(copies) * model.head * model.tokens
    return _figure(model.role, "logits' gradient", size, f"{sum(copies)} V T", f"{UTILS}: log_probs_from_logits")


def step_scratch(model: TrainedModelMemory) -> MemoryItem:
    """The fp32 copy of the gradients made by the optimizer step, after activations are freed."""
    shared = model.processes if model.zero_stage else 1
    size = 0 if model.offload and model.zero_stage else 4 * model.trainable / shared
    return _figure(model.role, "fp32 gradients", size, "4 P / N", f"{DEEPSPEED}/stage_1_and_2.py: step")


def process(model: TrainedModelMemory, cuda: bool) -> list[MemoryItem]:
    """Base memory of a process."""
    if not cuda:
        return []
    talk = [_figure(model.role, "NCCL", NCCL, "256 MiB", RULE)] if model.processes > 1 else []
    return [_figure(model.role, "CUDA context", CONTEXT, "512 MiB", RULE), *talk]


def resident(model: TrainedModelMemory) -> list[MemoryItem]:
    """Weights, optimizer states and gradients on the GPU during training."""
    states = [] if model.offload and model.zero_stage else [optimizer(model)]
    return [weights(model), *states, gradients(model)]


def passing(model: TrainedModelMemory) -> tuple[MemoryItem, ...]:
    """The larger of two peaks of a backward pass: its start (logits and their gradient), or recomputing a layer."""
    kept = activations(model)
    head = [logits_held(model)] if model.head else []
    start = [*head, logits_backward(model), kept[0]] if model.head else kept[:1]
    moments: list[list[MemoryItem]] = [start, [*head, *kept]]
    largest = max(moments, key=_total)
    return tuple(largest)


def update(model: TrainedModelMemory) -> tuple[MemoryItem, ...]:
    """Peak of an update: in the backward pass or in the optimizer step."""
    moments: list[Sequence[MemoryItem]] = [(*buffers(model), *passing(model)), (step_scratch(model),)]
    return nonzero([*resident(model), *max(moments, key=_total)])


def _total(figures: Sequence[MemoryItem]) -> int:
    return sum(f.bytes for f in figures)


def forward(model: TrainedModelMemory) -> tuple[MemoryItem, ...]:
    """Memory of a pass without gradients, besides the weights: one layer's activations, and logits in two dtypes."""
    t, e = model.forward_tokens, model.element
    wide = e * (4 * model.shape.intermediate + 4 * model.shape.hidden) * t
    logits = (4 + (e if e != 4 else 0)) * model.head * t
    return nonzero(
        [
            _figure(model.role, "forward pass", max(wide, 0), "T e (4 I + 4 h)", TRANSFORMERS),
            _figure(model.role, "logits", logits, "6 V T (bf16 and fp32)" if e == 2 else "4 V T", f"{ACTOR}: forward"),
        ]
    )


def host_bytes(model: TrainedModelMemory, sleeps: bool) -> list[MemoryItem]:
    """Host memory of one process: offloaded optimizer states, or states moved there while other roles are active."""
    shared = model.processes if model.zero_stage else 1
    found = []
    if model.offload and model.zero_stage:
        size = 16 * model.trainable / shared
        found.append(_figure(model.role, "offloaded optimizer", size, "(12 + 4) P / N", f"{DEEPSPEED}: cpu_offload"))
    elif sleeps:
        size = optimizer(model).bytes + gradients(model).bytes
        source = "openrlhf/utils/deepspeed/deepspeed_utils.py: offload_deepspeed_states"
        found.append(_figure(model.role, "sleeping states", size, "(12 + 2) P / N", source))
    return found
