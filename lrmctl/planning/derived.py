"""Numbers derived from a recipe, with the same names for all kinds. None of them is measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from lrmctl.hooks.members import members_in
from lrmctl.planning.model_shape import ModelShape
from lrmctl.planning.training_memory import lora_parameters
from lrmctl.planning.workload import Lengths, sides
from lrmctl.recipe.schema.recipes import Component, OfflineRecipe, RlRecipe

KEPT = 2
"""Checkpoints that a run keeps, deleting older ones."""


@dataclass(frozen=True)
class DataFacts:
    """What is known of the data.

    Attributes:
        rows: training rows; None if they are not on this machine or have yet to be sampled.
        kinds: number of prompts of each kind.
        eval_rows: rows for evaluation during training.
        tokens: of all rows together, prompt and response (RL: of the prompts; pairs: with the longer response).
    """

    rows: int | None = None
    kinds: Mapping[str, int] | None = None
    eval_rows: int = 0
    tokens: int | None = None
    lengths: Lengths = field(default_factory=Lengths)


@dataclass(frozen=True)
class DerivedNumbers:
    """Numbers of a run; None if unknown.

    Attributes:
        steps: rollout steps of RL, else optimizer steps.
        optimizer_steps: weight updates.
        prompts_per_step, samples_per_step: without rollouts, both are rows.
        passes: over the prompts (without rollouts: epochs).
        samples: of the whole run, without evaluation during training.
        tokens_at_most: upper bound of tokens generated (RL) or read.
        judge_calls: upper bound, by reward component with a judge.
        eval_samples: of all evaluations during training.
        checkpoints: number written; `KEPT` of them are kept.
        checkpoint_bytes, model_bytes: size of one checkpoint, and of the final model.
        disk_bytes: upper bound for checkpoints and model.
    """

    steps: int | None
    optimizer_steps: int | None
    prompts_per_step: int
    samples_per_step: int
    updates_per_step: int
    passes: float | None
    samples: int | None
    tokens_at_most: int | None
    judge_calls: Mapping[str, int]
    eval_samples: int
    checkpoints: int | None
    checkpoint_bytes: int | None
    model_bytes: int | None
    disk_bytes: int | None

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def derive(recipe: OfflineRecipe | RlRecipe, data: DataFacts, shape: ModelShape | None, element: int) -> DerivedNumbers:
    """The derived numbers of a recipe.

    Args:
        element: bytes per weight.
    """
    steps = recipe.algorithm.steps if isinstance(recipe, RlRecipe) else _offline_steps(recipe, data.rows)
    counts = _rl(recipe, data) if isinstance(recipe, RlRecipe) else _offline(recipe, data, steps)
    return DerivedNumbers(steps=steps, **counts, **_disk(recipe, steps, shape, element))


def _offline_steps(recipe: OfflineRecipe, rows: int | None) -> int | None:
    """Optimizer steps as OpenRLHF counts them: whole micro-batches per epoch and process."""
    if rows is None:
        return None
    processes = recipe.layout.nodes * recipe.layout.gpus // recipe.optimizer.sequence_parallel or 1
    micro = recipe.optimizer.micro_batch_size
    passes = recipe.train.batch_size // micro // processes
    return (rows // processes // micro) * recipe.train.epochs // passes if passes else None


def _offline(recipe: OfflineRecipe, data: DataFacts, steps: int | None) -> dict[str, Any]:
    samples = None if steps is None else steps * recipe.train.batch_size
    if data.tokens is not None:
        tokens: int | None = data.tokens * recipe.train.epochs * sides(recipe)
    else:
        tokens = None if samples is None else samples * data.lengths.sequence(recipe) * sides(recipe)
    return {
        "optimizer_steps": steps,
        "prompts_per_step": recipe.train.batch_size,
        "samples_per_step": recipe.train.batch_size,
        "updates_per_step": 1,
        "passes": float(recipe.train.epochs),
        "samples": samples,
        "tokens_at_most": tokens,
        "judge_calls": {},
        "eval_samples": 0,
    }


def _rl(recipe: RlRecipe, data: DataFacts) -> dict[str, Any]:
    algorithm = recipe.algorithm
    per_step = algorithm.prompts_per_step * algorithm.samples_per_prompt
    samples, asked = per_step * algorithm.steps, algorithm.prompts_per_step * algorithm.steps
    evaluated = recipe.evaluation
    looks = algorithm.steps // evaluated.every if evaluated else 0
    return {
        "optimizer_steps": algorithm.steps * algorithm.updates_per_step * algorithm.epochs_per_step,
        "prompts_per_step": algorithm.prompts_per_step,
        "samples_per_step": per_step,
        "updates_per_step": algorithm.updates_per_step * algorithm.epochs_per_step,
        "passes": round(asked / data.rows, 2) if data.rows else None,
        "samples": samples,
        "tokens_at_most": samples * recipe.rollout.max_new_tokens,
        "judge_calls": _judge_calls(recipe, data, samples),
        "eval_samples": looks * data.eval_rows * evaluated.samples_per_prompt if evaluated else 0,
    }


def _judge_calls(recipe: RlRecipe, data: DataFacts, samples: int) -> dict[str, int]:
    """Judge calls per component: one per judged part of each sample of its prompt kinds."""
    judged = [c for c in recipe.reward.components if c.use and c.options.get("judge")]
    both = ("whole", "both")
    return {
        c.label: round(samples * _share(c, data.kinds)) * (2 if c.part in both else 1) * _members(c) for c in judged
    }


def _members(component: Component) -> int:
    """Judges that a component asks: those of a panel, else one."""
    return len(members_in(str(component.options["judge"]), component.options.get("judge_options"))) or 1


def _share(component: Component, kinds: Mapping[str, int] | None) -> float:
    """Share of the prompts that a component applies to; 1 if the kinds are unknown."""
    if component.when is None or not kinds:
        return 1.0
    return sum(kinds.get(kind, 0) for kind in component.kinds) / sum(kinds.values())


def _disk(
    recipe: OfflineRecipe | RlRecipe, steps: int | None, shape: ModelShape | None, element: int
) -> dict[str, Any]:
    """Disk usage. DeepSpeed saves weights, fp32 master weights and two moments: (e + 12) P; also of PPO's critic."""
    written = None if steps is None else (steps // recipe.save_every if recipe.save_every else 0)
    sizes: dict[str, Any] = {"checkpoints": written, "checkpoint_bytes": None, "model_bytes": None, "disk_bytes": None}
    if shape is None:
        return sizes
    lora = recipe.optimizer.lora
    trainable = lora_parameters(shape, lora) if lora else shape.parameters
    models = 2 if isinstance(recipe, RlRecipe) and recipe.algorithm.name == "ppo" else 1
    one = models * (element * shape.parameters + 12 * trainable)
    model = element * (trainable if lora else shape.parameters)
    kept = min(KEPT, written) if written is not None else KEPT
    return {**sizes, "checkpoint_bytes": one, "model_bytes": model, "disk_bytes": kept * one + model}
