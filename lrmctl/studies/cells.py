"""The cells that a study's recipe asks for, and what one cell is made of: arm x base x training seed."""

from __future__ import annotations

from collections.abc import Iterator

from lrmctl.recipe.schema.recipes import StudyRecipe
from lrmctl.recipe.schema.study import BASE
from lrmctl.recipe.schema.study_base import StudyBase
from lrmctl.runs.study_cells import StudyCell, cell_path


def cells_of(recipe: StudyRecipe) -> list[StudyCell]:
    """Every model of a study, base by base and seed by seed; each base's own cell comes first."""
    return [cell for base in recipe.every_base for cell in _of_base(recipe, base)]


def _of_base(recipe: StudyRecipe, base: StudyBase) -> Iterator[StudyCell]:
    name, matrix = base.folder, recipe.is_matrix
    yield StudyCell(name, None, BASE, cell_path(name, None, BASE, matrix=matrix), "Base")
    for seed in recipe.training_seeds:
        for arm in recipe.trainings:
            yield StudyCell(
                name,
                seed,
                arm.name,
                cell_path(name, seed, arm.name, matrix=matrix),
                arm.label,
                arm.control,
                arm.start,
                arm.evaluate,
                arm.intermediate,
            )
