"""The prompts that a model will be evaluated on, to be searched for in its training data."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from lrmctl.data.availability import unavailable_reason
from lrmctl.errors import LrmctlError
from lrmctl.evaluation.benchmarks import set_name
from lrmctl.preflight.local import added_over_refusal_set
from lrmctl.recipe.schema.recipes import EvalRecipe, RlRecipe, StudyRecipe
from lrmctl.types import Prompt

if TYPE_CHECKING:
    from lrmctl.recipe.load import LoadedRecipe
    from lrmctl.recipe.schema.evaluation import EvalSection, ReasoningUse, SafetySet

_LAB = "lab/eval"
_TOLD = "not compared with"
Sets = dict[str, Sequence[Prompt]]


def evaluation_prompts(loaded: LoadedRecipe, against: LoadedRecipe | None) -> tuple[Sets, list[str]]:
    """Evaluation sets by name, and a sentence for each one that is not available here.

    Args:
        loaded: the training recipe; its evaluation during training is included.
        against: a recipe with an `evaluation:` section; `lab/eval` for recipes of the lab by default.
    """
    sets: Sets = {}
    unseen: list[str] = []
    _during_training(loaded, sets, unseen)
    section = _section(loaded, against)
    if section is None:
        unseen.append("not compared with evaluation sets: name them with --against EVAL_RECIPE")
    else:
        _of_section(section, _TOLD, sets, unseen)
    return sets, unseen


def section_prompts(section: EvalSection) -> tuple[Sets, list[str]]:
    """The prompts of an evaluation by set, as far as they are on this machine, and a sentence for each other set.

    The over-refusal set that an evaluation adds is included; `limit` is applied to reasoning tasks only.
    """
    sets: Sets = {}
    unseen: list[str] = []
    _of_section(section, "not counted:", sets, unseen)
    kinds = {prompt.kind for prompts in sets.values() for prompt in prompts}
    if section.safety and (use := added_over_refusal_set(section, kinds)):
        added = section.safety[0].model_copy(update=use)
        _try(lambda: _benchmark(added), added.use, "not counted:", sets, unseen)
    return sets, unseen


def _of_section(section: EvalSection, what: str, sets: Sets, unseen: list[str]) -> None:
    for chosen in section.safety:
        _try(lambda chosen=chosen: _benchmark(chosen), chosen.use, what, sets, unseen)  # type: ignore[misc]
    for task in section.reasoning:
        _try(lambda task=task: _task(task, section.limit), task.use, what, sets, unseen)  # type: ignore[misc]


def _section(loaded: LoadedRecipe, against: LoadedRecipe | None) -> EvalSection | None:
    if against is None and loaded.recipe.name.startswith("lab-"):
        from lrmctl.recipe.load import load_recipe

        against = load_recipe(_LAB)
    recipe = against.recipe if against else None
    return recipe.evaluation if isinstance(recipe, (EvalRecipe, StudyRecipe)) else None


def _during_training(loaded: LoadedRecipe, sets: Sets, unseen: list[str]) -> None:
    from lrmctl.data.sources import load_prompts

    recipe = loaded.recipe
    if not isinstance(recipe, RlRecipe) or recipe.evaluation is None:
        return
    uses = recipe.evaluation.prompts
    missing = [why for use in uses if (why := unavailable_reason(use))]
    if missing:
        unseen.append(f"not compared with `evaluation`: {missing[0]}")
    else:
        _try(
            lambda: ("evaluation while training", load_prompts(uses, seed=recipe.seed)),
            "evaluation",
            _TOLD,
            sets,
            unseen,
        )


def _try(load: Callable[[], tuple[str, Sequence[Prompt]]], name: str, what: str, sets: Sets, unseen: list[str]) -> None:
    try:
        label, prompts = load()
        sets[label] = [*sets.get(label, ()), *prompts]
    except LrmctlError as error:
        unseen.append(f"{what} {name}: {error.what}")


def _benchmark(chosen: SafetySet) -> tuple[str, Sequence[Prompt]]:
    from lrmctl.hooks import registry

    benchmark = registry.make("benchmark", chosen.use, **chosen.options)
    if why := benchmark.unavailable_reason():  # nothing is downloaded for this
        raise LrmctlError(why)
    return set_name(benchmark), benchmark.load()


def _task(chosen: ReasoningUse, limit: int | None) -> tuple[str, Sequence[Prompt]]:
    from lrmctl.reasoning.tasks import LMEVAL, reasoning_task, task_names

    if chosen.use.startswith(LMEVAL):
        raise LrmctlError("tasks of lm-eval are read when they are evaluated")
    known = next((task for task in task_names() if task.name == chosen.use), None)
    if known and not (known.here or chosen.options.get("path")):  # nothing is downloaded for this
        raise LrmctlError(f"the data set {known.hub} is not on this machine")
    return chosen.use, reasoning_task(chosen.use, chosen.options).load(limit)
