"""How many processes share a step, and how much each of them gets. Plain arithmetic on a recipe and its flags."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lrmctl.recipe.schema.recipes import OfflineRecipe, RlRecipe


@dataclass(frozen=True)
class BatchSplit:
    """The actor's processes (SFT: the job's).

    Attributes:
        processes: one per GPU.
        together: processes that hold parts of the same sequence or layer, and so process the same samples.
        batch: sequences of one optimizer step, over all processes.
    """

    processes: int
    together: int
    batch: int

    @classmethod
    def of(cls, recipe: OfflineRecipe | RlRecipe, read: Mapping[str, Any]) -> BatchSplit:
        """Args: read: the flags as OpenRLHF reads them."""
        together = recipe.optimizer.sequence_parallel * read.get("ds.tensor_parallel_size", 1)
        batch = recipe.train.batch_size if isinstance(recipe, OfflineRecipe) else _per_update(recipe)
        return cls(recipe.layout.nodes * recipe.layout.gpus, max(1, together), batch)

    @property
    def parallel(self) -> int:
        """Groups of processes with their own samples (data parallelism)."""
        return max(1, self.processes // self.together)


def _per_update(recipe: RlRecipe) -> int:
    algorithm = recipe.algorithm
    return algorithm.prompts_per_step * algorithm.samples_per_prompt // algorithm.updates_per_step
