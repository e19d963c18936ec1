"""The models (guards, reward models) that a recipe's reward loads into the reward service, and their GPUs."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from typing import Any

from lrmctl.errors import LrmctlError
from lrmctl.hooks.members import members_in
from lrmctl.planning.colocated import ColocatedModel
from lrmctl.planning.model_shape import shape_of
from lrmctl.recipe.schema.recipes import OfflineRecipe, RlRecipe

_GPU = {"auto": 0, "cuda": 0}
_NESTED = (
    ("judge", "judge", "judge_options"),
    ("reward", "helpful", "helpful_options"),
    ("reward", "reward", "reward_options"),
)


def colocated_models(recipe: OfflineRecipe | RlRecipe) -> tuple[list[ColocatedModel], list[str]]:
    """Models on GPUs of the machine that runs the reward service, and a sentence for each that is not counted."""
    if not isinstance(recipe, RlRecipe) or recipe.launch.via != "local":
        return [], []
    found: dict[tuple[str, int], ColocatedModel] = {}
    unknown: list[str] = []
    for name, options in _loaded(recipe):
        gpu = _gpu(str(options.get("device", "auto")))
        if gpu is None:
            continue
        try:
            shape = shape_of(str(options["model"]), None)
        except LrmctlError as error:
            unknown.append(f"the memory of {options['model']} in the reward service is not counted: {error.what}")
            continue
        found[shape.name, gpu] = ColocatedModel(name, shape, gpu, int(options.get("batch_size", 16)))
    return list(found.values()), list(dict.fromkeys(unknown))


def _gpu(device: str) -> int | None:
    """Index of a CUDA device from its name; None for any other device."""
    if device in _GPU:
        return _GPU[device]
    index = device.removeprefix("cuda:")
    return int(index) if device.startswith("cuda:") and index.isdigit() else None


def _loaded(recipe: RlRecipe) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Names and options, including defaults, of all plugins in the reward that load a model."""
    for component in recipe.reward.components:
        if component.use is None:  # a function in a file: what it loads is unknown
            continue
        yield from _with_model("reward", component.use, component.options)
        defaults = _defaults("reward", component.use)
        for group, key, key_options in _NESTED:
            name = component.options.get(key, defaults.get(key))
            if isinstance(name, str):
                yield from _with_model(group, name, component.options.get(key_options) or {})


def _with_model(group: str, name: str, options: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for member in members_in(name, options) if group == "judge" else ():
        yield from _with_model(group, member.name, member.options)
    whole = {**_defaults(group, name), **options}
    if isinstance(whole.get("model"), str) and _is_here(whole.get("engine", "hf")):
        yield name, whole


def _is_here(engine: object) -> bool:
    """Whether an engine loads its model in this process; a server does not."""
    use = engine.get("use", "hf") if isinstance(engine, Mapping) else engine
    return use != "openai"


def _defaults(group: str, name: str) -> dict[str, Any]:
    from lrmctl.hooks import registry

    parameters = inspect.signature(registry.find(group, name).factory).parameters.values()
    return {p.name: p.default for p in parameters if p.default is not inspect.Parameter.empty}
