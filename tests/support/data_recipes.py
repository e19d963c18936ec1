"""Recipes of kind data for the lab's model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from lrmctl.recipe.load import LoadedRecipe, load_recipe

LAB: dict[str, Any] = {
    "kind": "data",
    "name": "lab-built",
    "model": "lab:tiny",
    "prompts": [{"use": "lab-prompts", "options": {"n": 8}}],
    "sampling": {"samples": 4, "max_new_tokens": 112},
}


def recipe_of(folder: Path, **sections: Any) -> LoadedRecipe:
    """A recipe in a file, the lab's by default."""
    file = folder / "recipe.yaml"
    file.write_text(yaml.safe_dump({**LAB, **sections}))
    return load_recipe(file)
