"""Checks of a recipe that need no model, data, OpenRLHF or GPU.

A recipe with `device: auto` may run on either device, so it is valid if one of them can run it; what CUDA refuses is
then a note. If neither can, the reasons given are those of CUDA, which most runs are meant for.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

from lrmctl.backends.openrlhf import common, rules
from lrmctl.backends.openrlhf.flags import parser, preference, rl, sft
from lrmctl.errors import RecipeError
from lrmctl.recipe.problems import Problem
from lrmctl.recipe.schema.preference import PreferenceRecipe
from lrmctl.recipe.schema.recipes import OfflineRecipe, RlRecipe

Device = Literal["cuda", "cpu"]


def check(recipe: OfflineRecipe | RlRecipe) -> list[Problem]:
    """All problems, and notes."""
    device = recipe.backend.device
    devices: tuple[Device, ...] = ("cuda", "cpu") if device == "auto" else (device,)
    found = {device: on_device(recipe, device) for device in devices}
    fine = [device for device in devices if all(p.note for p in found[device])]
    if not fine:
        return found[devices[0]]
    other = [p for p in found["cuda"] if not p.note] if fine == ["cpu"] and device == "auto" else []
    about = [Problem("backend.name", text, note=True)] if (text := parser.version_note()) else []
    on_gpu = [Problem(p.key, f"runs on CPU only: {p.what}", p.fix, note=True) for p in other]
    return [*about, *on_gpu, *found[fine[0]]]


def on_device(recipe: OfflineRecipe | RlRecipe, device: Device) -> list[Problem]:
    """Problems on one device, and notes; whether this machine has the device is not checked."""
    section = recipe.backend.model_copy(update={"device": device})
    try:
        target = common.compute_target(section, recipe.layout, here=False)
    except RecipeError as error:
        return [Problem(error.where, error.what, error.fix)]
    _, found = rules.check_flags(recipe, target, _flags(recipe, target))
    # a recipe for several nodes is fine: the launcher may be given on the command line
    return [replace(p, note=True) if p.key == "layout.nodes" else p for p in found]


def _flags(recipe: OfflineRecipe | RlRecipe, target: common.ComputeTarget) -> dict[str, Any]:
    if isinstance(recipe, RlRecipe):
        return rl.recipe_flags(recipe, target)
    if isinstance(recipe, PreferenceRecipe):
        return preference.recipe_flags(recipe, target)
    return sft.recipe_flags(recipe, target)
