"""Shrinks a recipe for a smoke run. The algorithm, rewards and flags are kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lrmctl.data.of_recipe import sources_of
from lrmctl.errors import LrmctlError
from lrmctl.recipe.load import LoadedRecipe
from lrmctl.recipe.schema.preference import PreferenceRecipe
from lrmctl.recipe.schema.recipes import OfflineRecipe, RewardSection, RlRecipe, SftRecipe
from lrmctl.recipe.schema.sections import Use
from lrmctl.smoke import replace_models
from lrmctl.smoke.model import tiny_model
from lrmctl.smoke.rows import RowKind, small_source

if TYPE_CHECKING:
    from lrmctl.data.renderer import Renderer

STEPS, PROMPTS, SAMPLES, NEW_TOKENS, BATCH = 2, 4, 2, 24, 4
_ROWS = 8
ANY_REWARD = -1e9  # accepts anything, because a random model is never right
EVERYWHERE: Mapping[str, Any] = {
    "backend.device": "cpu",
    "backend.dtype": "fp32",
    **{f"layout.{key}": 1 for key in ("nodes", "gpus", "tensor_parallel")},
    **{f"layout.{key}": None for key in ("rollout_gpus", "reference_gpus", "critic_gpus", "gpu_type")},
    "launch.via": "local",
    "optimizer.micro_batch_size": BATCH // 2,
    "optimizer.zero_stage": 2,
    "optimizer.offload": False,
    "optimizer.packing": False,
    "optimizer.dynamic_batch_tokens": None,
    "optimizer.sequence_parallel": 1,
    "save_every": 1,
}
"""CPU on this machine, and a checkpoint at every step."""


@dataclass
class ShrunkRecipe:
    """A shrunk recipe, and how it differs from the original.

    Attributes:
        changes: key -> (old value, new value).
        replaced: one sentence per replacement.
    """

    loaded: LoadedRecipe
    changes: dict[str, tuple[Any, Any]] = field(default_factory=dict)
    replaced: list[str] = field(default_factory=list)


def shrink(loaded: LoadedRecipe, folder: Path, runs_dir: Path) -> ShrunkRecipe:
    """Shrink a recipe to two training steps on CPU.

    Args:
        folder: where the tiny model and the rows are written.
        runs_dir: the folder of `run:NAME` models.
    """
    recipe = loaded.recipe
    assert isinstance(recipe, OfflineRecipe | RlRecipe)
    model, replaced = tiny_model(recipe.model, folder / "tiny", runs_dir=runs_dir, seed=recipe.seed)
    words: dict[str, Any] = {"model": str(model), **EVERYWHERE}
    how = _renderer(recipe, model)
    if how is None:
        words |= {"template_args": {}, "thinking": None}
        replaced.append("thinking: found from the tiny model's own template, which is not that of the recipe's model")
    made = _rl(recipe, folder, how) if isinstance(recipe, RlRecipe) else _offline(recipe, model, folder, how)
    words |= made[0]
    small = loaded.override(words, "smoke")
    return ShrunkRecipe(small, changes_of(loaded, words), [*replaced, *made[1]])


def _renderer(recipe: OfflineRecipe | RlRecipe, model: Path) -> Renderer | None:
    """The renderer for the tiny model's chat template; None if the recipe's thinking settings do not fit it."""
    from lrmctl.data.of_recipe import renderer
    from lrmctl.models import load_tokenizer

    how = renderer(load_tokenizer(model), recipe)
    args = [getattr(use, "template_args", {}) for use in sources_of(recipe)]
    try:
        fits = all(_does(how, one) for one in ({}, *args))
    except LrmctlError:
        return None
    return how if fits else None


def _does(how: Renderer, args: Mapping[str, Any]) -> bool:
    """Whether template arguments that are meant to turn thinking off have that effect."""
    from lrmctl.thinking import find_thinking

    told = find_thinking(None, template_args={**how.template_args, **args})
    return told.on is not False or how.is_off(args)


def changes_of(loaded: LoadedRecipe, words: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Changed plain values; changed sources and components are described in sentences."""
    before = {key: _value(loaded.resolved, key) for key in words}
    return {
        key: (before[key], value)
        for key, value in words.items()
        if value != before[key] and not isinstance(value, list) and key != "model"
    }


def _value(resolved: Any, key: str) -> Any:
    for word in key.split("."):
        resolved = resolved.get(word) if isinstance(resolved, dict) else None
    return resolved


def _longest(recipe_length: int, model: str) -> int:
    from lrmctl.lab.tokenizer import CONTEXT
    from lrmctl.smoke.model import POSITIONS

    return min(recipe_length, CONTEXT if model == "lab:tiny" else POSITIONS // 2)


def _rl(recipe: RlRecipe, folder: Path, how: Renderer | None) -> tuple[dict[str, Any], list[str]]:
    prompts, replaced = small_sources(recipe.prompts, folder / "prompts", how=how)
    words = {
        "prompts": prompts,
        **small_reward(recipe.reward, "reward.components", replaced),
        "algorithm.steps": STEPS,
        "algorithm.prompts_per_step": PROMPTS,
        "algorithm.samples_per_prompt": SAMPLES,
        "algorithm.updates_per_step": min(recipe.algorithm.updates_per_step, 2),
        "rollout.max_new_tokens": NEW_TOKENS,
        "max_len": _longest(recipe.max_len, recipe.model),
        **_rl_options(recipe, replaced),
        **_prefill(recipe, replaced),
    }
    if recipe.evaluation is not None:
        held, told = small_sources(recipe.evaluation.prompts, folder / "held-out", how=how)
        replaced += told
        words |= {"evaluation.prompts": held, "evaluation.every": 1}
    return words, replaced


def _prefill(recipe: RlRecipe, replaced: list[str]) -> dict[str, Any]:
    """Given thoughts as one short text, since the small prompts are others."""
    if not recipe.prefill:
        return {}
    replaced.append("prefill: the given thoughts -> one short text")
    fixed = {"thought": "Okay, let me think.", "thoughts": None, "source": None, "only": "any", "tokens": None}
    return {"prefill": [{**entry.model_dump(mode="json"), **fixed} for entry in recipe.prefill]}


def _rl_options(recipe: RlRecipe, replaced: list[str]) -> dict[str, Any]:
    """Adapt algorithm settings that depend on sizes, and disable those that cannot work with a random model."""
    words: dict[str, Any] = {}
    if recipe.algorithm.overlong is not None:
        words["algorithm.overlong.buffer"] = NEW_TOKENS // 3
    if recipe.algorithm.critic.model is not None:
        words["algorithm.critic.model"] = None
        replaced.append(f"critic: {recipe.algorithm.critic.model} -> the tiny model")
    if recipe.algorithm.dynamic_filtering is not None:
        words["algorithm.dynamic_filtering"] = None
        replaced.append("dynamic filtering: left out, because a random model's rewards do not differ")
    return words


def _offline(
    recipe: OfflineRecipe, model: Path, folder: Path, how: Renderer | None
) -> tuple[dict[str, Any], list[str]]:
    words: dict[str, Any] = {
        "train.epochs": 1,
        "train.batch_size": BATCH,
        "train.eval_every": 1 if recipe.data.eval_rows else None,
        "data.max_len": _longest(recipe.data.max_len, recipe.model),
        "data.rows": None if recipe.data.rows is None else _ROWS,
    }
    if isinstance(recipe, PreferenceRecipe):
        pairs, replaced = small_sources(recipe.data.sources, folder / "pairs", what="pairs", how=how)
        return {**words, "data.sources": pairs}, replaced
    assert isinstance(recipe, SftRecipe)
    if recipe.data.rejection is None:
        sources, replaced = small_sources(recipe.data.sources, folder / "rows", what="demonstrations", how=how)
        return {**words, "data.sources": sources, **_behaviour(recipe, model, replaced)}, replaced
    rejection = recipe.data.rejection
    prompts, replaced = small_sources(rejection.prompts, folder / "prompts")
    return {
        **words,
        "data.rejection.prompts": prompts,
        **small_reward(rejection.reward, "data.rejection.reward.components", replaced),
        "data.rejection.samples_per_prompt": SAMPLES,
        "data.rejection.rollout.max_new_tokens": NEW_TOKENS,
        "data.rejection.keep_at_least": ANY_REWARD,
    }, replaced


def _behaviour(recipe: SftRecipe, model: Path, replaced: list[str]) -> dict[str, Any]:
    """The tiny model as the policy that wrote the rows, whose tokens have to be those of the model in training."""
    importance = recipe.data.loss_weights.importance
    if importance is None:
        return {}
    replaced.append(f"importance weights: {importance.behaviour} -> the tiny model")
    return {"data.loss_weights.importance.behaviour": str(model)}


def small_sources(
    uses: Sequence[Use], folder: Path, *, what: RowKind = "prompts", how: Renderer | None = None
) -> tuple[list[Any], list[str]]:
    """A few rows of each source as a file, fewer per source if there are many; weights are kept."""
    made, told = [], []
    for i, use in enumerate(uses):
        file = folder / f"{i}.jsonl"
        args = getattr(use, "template_args", {})
        off = how is not None and how.is_off(args)
        n = max(3, _ROWS // len(uses))
        small, sentence = small_source(use, file, n, what=what, off=off)
        kept = {key: getattr(use, key, None) for key in ("weight", "system")}
        kept["template_args"] = args if how else None
        made.append({**small, **{key: value for key, value in kept.items() if value}})
        told.append(sentence)
    return made, told


def small_reward(section: RewardSection, key: str, replaced: list[str]) -> dict[str, Any]:
    """The components of a reward without models, under the recipe's key; adds sentences to `replaced`."""
    components = []
    for resolved in section.model_dump(mode="json")["components"]:
        small, told = replace_models.component(resolved)
        components.append(small)
        replaced += told
    return {key: components}
