"""The quantities of a recipe that determine memory: tokens per micro-batch, processes, models."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lrmctl.planning.layout import Placement
from lrmctl.planning.model_shape import ModelShape
from lrmctl.planning.training_memory import TrainedModelMemory
from lrmctl.recipe.schema.preference import PreferenceRecipe
from lrmctl.recipe.schema.recipes import OfflineRecipe, RlRecipe


@dataclass(frozen=True)
class Lengths:
    """Token lengths of the rows, if they were counted.

    Attributes:
        longest: tokens of the longest row kept (RL: of the longest prompt kept); None without a tokenizer.
    """

    longest: int | None = None

    def sequence(self, recipe: OfflineRecipe | RlRecipe) -> int:
        """Tokens of the longest possible training sequence."""
        if isinstance(recipe, OfflineRecipe):
            return min(recipe.data.max_len, self.longest or recipe.data.max_len)
        if self.longest is None:
            return recipe.max_len
        return min(recipe.max_len, self.longest + recipe.rollout.max_new_tokens)


def sides(recipe: OfflineRecipe | RlRecipe) -> int:
    """Sequences of one row: two where a pair is compared."""
    return 2 if isinstance(recipe, PreferenceRecipe) else 1


def micro_tokens(recipe: OfflineRecipe | RlRecipe, length: int, *, gradients: bool = True) -> int:
    """Tokens of one micro-batch on one process, if every sequence has `length` tokens.

    Passes without gradients use twice as many sequences if that divides the step. Dynamic batches hold at most their
    token limit, or one longer sequence. Ring attention splits every sequence over its GPUs.
    """
    optimizer = recipe.optimizer
    if optimizer.dynamic_batch_tokens is not None and isinstance(recipe, RlRecipe):
        whole = max(optimizer.dynamic_batch_tokens * optimizer.sequence_parallel, length)
    else:
        whole = length * sides(recipe) * (optimizer.micro_batch_size if gradients else _forward_batch(recipe))
    return -(-whole // optimizer.sequence_parallel)


def _forward_batch(recipe: OfflineRecipe | RlRecipe) -> int:
    micro = recipe.optimizer.micro_batch_size
    if not isinstance(recipe, RlRecipe):
        return micro
    samples = recipe.algorithm.prompts_per_step * recipe.algorithm.samples_per_prompt
    return micro if samples % (2 * micro * recipe.layout.nodes * recipe.layout.gpus) else 2 * micro


def trained(
    recipe: OfflineRecipe | RlRecipe, shape: ModelShape, lengths: Lengths, device: str, dtype: str
) -> TrainedModelMemory:
    """The model that the recipe trains: the actor, or the only one."""
    length, cuda = lengths.sequence(recipe), device == "cuda"
    rl = isinstance(recipe, RlRecipe)
    compared = isinstance(recipe, PreferenceRecipe)  # with a reference model
    return TrainedModelMemory(
        role="actor" if rl else "trainer",
        shape=shape,
        processes=recipe.layout.nodes * recipe.layout.gpus,
        tokens=micro_tokens(recipe, length),
        forward_tokens=micro_tokens(recipe, length, gradients=False) if rl or compared else 0,
        head=shape.vocab,
        temperature=recipe.rollout.temperature if isinstance(recipe, RlRecipe) else 1.0,
        entropy=isinstance(recipe, RlRecipe) and recipe.algorithm.entropy_coef != 0,
        lora=recipe.optimizer.lora,
        **_states(recipe, cuda, dtype),
    )


def critic(
    recipe: RlRecipe, shape: ModelShape, actor: TrainedModelMemory, placed: Placement, cuda: bool, dtype: str
) -> TrainedModelMemory:
    """PPO's value model: trained, with a single output."""
    role = placed.role("critic")
    return TrainedModelMemory(
        role="critic",
        shape=shape,
        processes=(role.gpus if role else 0) or actor.processes,
        tokens=actor.tokens,
        forward_tokens=actor.forward_tokens,
        head=1,
        **_states(recipe, cuda, dtype),
    )


def _states(recipe: OfflineRecipe | RlRecipe, cuda: bool, dtype: str) -> dict[str, Any]:
    optimizer = recipe.optimizer
    return {
        "element": 4 if dtype == "fp32" else 2,
        "zero_stage": optimizer.zero_stage,
        "offload": optimizer.offload,
        "checkpointing": optimizer.gradient_checkpointing and cuda,
        "cuda": cuda,
    }


def reference(recipe: PreferenceRecipe | RlRecipe, actor: TrainedModelMemory, placed: Placement) -> TrainedModelMemory:
    """The frozen reference model: sharded in stage 3 only, otherwise whole on every GPU."""
    role = placed.role("reference")
    return TrainedModelMemory(
        role="reference",
        shape=actor.shape,
        element=actor.element,
        processes=(role.gpus if role else 0) or actor.processes,
        zero_stage=3 if recipe.optimizer.zero_stage == 3 else 0,
        offload=False,
        checkpointing=False,
        tokens=0,
        forward_tokens=actor.forward_tokens,
        head=actor.head,
        cuda=actor.cuda,
    )
