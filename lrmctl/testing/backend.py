"""The contract check of training backends: what can be checked without training. `launch` is not called."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from lrmctl.errors import LrmctlError
from lrmctl.testing.checks import require
from lrmctl.types import Plan

if TYPE_CHECKING:
    from lrmctl.backends.base import Backend, TrainJob
    from lrmctl.recipe.schema.recipes import OfflineRecipe, RlRecipe

_RECIPES: tuple[dict[str, Any], ...] = (
    {"kind": "sft", "data": {"sources": [{"use": "lab-teacher"}], "max_len": 256}},
    {"kind": "preference", "data": {"sources": [{"use": "lab-pairs"}], "max_len": 256}},
    {
        "kind": "rl",
        "prompts": [{"use": "lab-prompts"}],
        "reward": {"components": [{"use": "format"}]},
        "rollout": {"max_new_tokens": 128},
        "max_len": 256,
        "algorithm": {"steps": 2, "prompts_per_step": 4, "samples_per_prompt": 4},
    },
)
_ROWS = {
    "sft": {"prompt": "2 + 2? ", "response": "It is 4."},
    "preference": {"prompt": "2 + 2? ", "chosen": "It is 4.", "rejected": "It is 5."},
    "rl": {"prompt": "2 + 2? ", "label": "{}"},
}
_CONSTANT = {"schedule": "constant", "warmup_ratio": 0.0}


def check_backend(backend: Backend) -> None:
    """Plans one job at least of SFT, preference training or RL: the same plan twice, as data, touching nothing.

    Raises:
        ContractError: a plan is not valid or writes files, a recipe is refused with no `LrmctlError`, a run without a
            checkpoint has one, or versions are no JSON.
    """
    require(bool(getattr(backend, "name", "")), "a backend has a name")
    require(is_json(dict(backend.versions())), "versions are JSON values")
    planned = 0
    with tempfile.TemporaryDirectory(prefix="lrmctl-backend-") as folder:
        for recipe in _recipes(backend.name):
            problems = list(backend.check(recipe))
            for problem in problems:
                require(bool(problem.key and problem.what), f"a problem of {recipe.kind} has no key, or says nothing")
            if all(problem.note for problem in problems):
                planned += _check_plan(backend, recipe, Path(folder))
        empty = Path(folder) / "empty"
        empty.mkdir()
        require(backend.checkpoint(empty) is None, "a run that saved nothing has no checkpoint")
        require(not list(empty.iterdir()), "looking for a checkpoint writes files")
    require(planned > 0, "it plans none of sft, preference and rl; `check` and `plan` refuse them all")


def _check_plan(backend: Backend, recipe: OfflineRecipe | RlRecipe, folder: Path) -> bool:
    job = _job(recipe, folder / recipe.kind)
    before = sorted(folder.rglob("*"))
    try:
        plan = backend.plan(job)
    except LrmctlError:  # it says that it cannot
        return False
    require(isinstance(plan, Plan), f"planning {recipe.kind} gives a {type(plan).__name__}, not a Plan")
    require(plan.kind == recipe.kind, f"the plan of {recipe.kind} says that it is of {plan.kind}")
    words = list(plan.argv)
    require(bool(words) and all(isinstance(word, str) for word in words), "argv is a command line: texts")
    pairs = [*plan.env.items(), *plan.files.items(), *plan.secrets.items()]
    require(all(isinstance(text, str) for pair in pairs for text in pair), "env, files and secrets are texts by name")
    for name in (*plan.files, *plan.secrets):
        path = PurePosixPath(name)
        inside = not path.is_absolute() and ".." not in path.parts
        require(inside, f"the file {name} is not relative to the run's folder")
    require(is_json(plan.to_json()), "a plan is written as JSON")
    require(sorted(folder.rglob("*")) == before, "planning writes files")
    require(backend.plan(job) == plan, "planning twice gives two plans")
    return True


def _recipes(backend: str) -> Iterator[OfflineRecipe | RlRecipe]:
    from lrmctl.recipe.schema.recipes import PreferenceRecipe, RlRecipe, SftRecipe

    classes: dict[str, Any] = {"sft": SftRecipe, "preference": PreferenceRecipe, "rl": RlRecipe}
    shared = {"name": "plugin-test", "model": "lab:tiny", "backend": {"name": backend, "device": "cpu"}}
    for given in _RECIPES:
        yield classes[given["kind"]].model_validate({**given, **shared, "optimizer": _CONSTANT})


def _job(recipe: OfflineRecipe | RlRecipe, run_dir: Path) -> TrainJob:
    from lrmctl.backends.base import REWARD_URL, TrainJob
    from lrmctl.models.shipped import base_path

    url = REWARD_URL if recipe.kind == "rl" else ""
    return TrainJob(recipe, base_path(), run_dir, [_ROWS[recipe.kind]] * 32, url)


def is_json(value: Any) -> bool:
    """Whether a value can be written as JSON."""
    try:
        json.dumps(value)
    except (TypeError, ValueError):
        return False
    return True
