"""Suggests what to change when a run does not fit: tries single recipe changes on the estimate, cheapest first."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

from lrmctl.planning.memory import MemoryEstimate, gpu_share
from lrmctl.planning.memory_items import Verdict
from lrmctl.recipe.schema.recipes import OfflineRecipe, RlRecipe

Recipe = OfflineRecipe | RlRecipe


@dataclass(frozen=True)
class RecipeChange:
    """One change of a recipe and its effect.

    Attributes:
        key: dotted recipe key.
        peak_bytes, verdict: after the change.
    """

    key: str
    value: Any
    peak_bytes: int
    verdict: Verdict

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def first_change(
    recipe: Recipe, memory: MemoryEstimate, again: Callable[[Recipe], MemoryEstimate]
) -> RecipeChange | None:
    """The first single change that makes a run fit, else the one that lowers the peak most; None if it already fits, or
    if every change leaves it no better.

    Args:
        again: estimates a changed recipe.
    """
    if memory.verdict in ("fits", "unknown"):
        return None
    tried = []
    for key, value in _candidates(recipe):
        changed = again(_with(recipe, key, value))
        tried.append(RecipeChange(key, value, changed.peak, changed.verdict))
        if changed.verdict == "fits":
            return tried[-1]
    better = [c for c in tried if c.peak_bytes < memory.peak or c.verdict == "tight" != memory.verdict]
    if memory.verdict == "tight":  # a lower peak can fit less, e.g. where too little is left for the KV cache
        better = [c for c in better if c.verdict != "does not fit"]
    return min(better, key=lambda c: (c.verdict == "does not fit", c.peak_bytes), default=None)


def _with(recipe: Recipe, key: str, value: Any) -> Recipe:
    section, word = key.split(".")
    return recipe.model_copy(update={section: getattr(recipe, section).model_copy(update={word: value})})


def _candidates(recipe: Recipe) -> Iterator[tuple[str, Any]]:
    """Candidate changes by increasing cost: time first, then GPUs."""
    optimizer, processes = recipe.optimizer, recipe.layout.nodes * recipe.layout.gpus
    if not optimizer.gradient_checkpointing:
        yield "optimizer.gradient_checkpointing", True
    if isinstance(recipe, RlRecipe):
        yield from _engine(recipe)
    if processes > 1:
        yield from (("optimizer.zero_stage", stage) for stage in (2, 3) if stage > optimizer.zero_stage)
    yield from _smaller(recipe)
    if not optimizer.offload and optimizer.zero_stage:
        yield "optimizer.offload", True
    if optimizer.packing:
        fitting = (n for n in (2, 4, 8) if optimizer.sequence_parallel < n <= processes and processes % n == 0)
        yield from (("optimizer.sequence_parallel", n) for n in fitting)
    yield from (("layout.gpus", n) for n in (2, 4, 8) if n > recipe.layout.gpus)


def _smaller(recipe: Recipe) -> Iterator[tuple[str, Any]]:
    """Smaller micro-batches: halved repeatedly, or fewer tokens down to one longest sequence."""
    tokens = recipe.optimizer.dynamic_batch_tokens
    if tokens is not None and isinstance(recipe, RlRecipe):
        yield from (("optimizer.dynamic_batch_tokens", n) for n in (tokens // 2, recipe.max_len) if 0 < n < tokens)
        return
    micro = recipe.optimizer.micro_batch_size // 2
    while micro:
        yield "optimizer.micro_batch_size", micro
        micro //= 2


def _engine(recipe: RlRecipe) -> Iterator[tuple[str, Any]]:
    """Other memory shares for the engine, and more GPUs per engine."""
    now = gpu_share(recipe)
    yield from (("rollout.gpu_memory", share) for share in (0.5, 0.4, 0.3) if share < now)
    yield from (("rollout.gpu_memory", share) for share in (0.7, 0.8, 0.9) if share > now)
    size = recipe.layout.rollout_gpus or recipe.layout.nodes * recipe.layout.gpus
    wider = (n for n in (2, 4, 8) if recipe.layout.tensor_parallel < n <= size and size % n == 0)
    yield from (("layout.tensor_parallel", n) for n in wider)
