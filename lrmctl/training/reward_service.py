"""Configures the reward service of an RL run from its plan."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from lrmctl.recipe.schema.recipes import RlRecipe
from lrmctl.recipe.schema.sections import Launch
from lrmctl.runs.folder import RunFolder

if TYPE_CHECKING:
    from lrmctl.rewards.service.server import RewardService
    from lrmctl.training.plan import TrainingPlan


def reward_service(plan: TrainingPlan) -> AbstractContextManager[RewardService | None]:
    """The reward service of an RL run, started on entering the context; None for SFT."""
    recipe = plan.resolved.recipe
    if not isinstance(recipe, RlRecipe):
        return nullcontext()
    from lrmctl.rewards.service.server import RewardService

    model, attempt, folder = plan.resolved.model, plan.continuation.attempt, RunFolder(plan.run_dir)
    assert model is not None
    filtering = recipe.algorithm.dynamic_filtering
    host, reached_as = _addresses(recipe.launch)
    return RewardService(
        recipe.reward,
        rollouts=folder.rollouts,
        end_tokens=end_tokens(model, plan.resolved.tokenizer),
        attempt=attempt,
        score_of=filtering.of if filtering else "reward",
        host=host,
        reached_as=reached_as,
        samples=group_sizes(recipe),
        baseline=recipe.algorithm.baseline,
        tokenizer=model,
        step=recipe.algorithm.prompts_per_step * recipe.algorithm.samples_per_prompt,
        log=folder.logs / f"rewards-{attempt}.log",
    )


def group_sizes(recipe: RlRecipe) -> dict[str, int]:
    """Samples per prompt that are scored together, by phase."""
    evaluated = recipe.evaluation.samples_per_prompt if recipe.evaluation else 0
    return {"train": recipe.algorithm.samples_per_prompt, "eval": evaluated}


def end_tokens(model: Path, tokenizer: Any) -> list[str]:
    """Text of every token that ends a completion (see `lrmctl.models.end_of_text`)."""
    from lrmctl.models import end_of_text

    return list(end_of_text(tokenizer, model).all)


def _addresses(section: Launch) -> tuple[str, str]:
    """The address that the service listens on, and the one that other machines use."""
    if section.via == "local":
        return "127.0.0.1", ""
    from lrmctl.rewards.service.sockets import own_address

    towards = urlsplit(section.address or "").hostname or ""
    return "0.0.0.0", section.reward_host or own_address(towards)
