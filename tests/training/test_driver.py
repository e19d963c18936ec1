"""Whether a recipe for GPUs can start here, as far as files tell."""

from __future__ import annotations

from pathlib import Path

import pytest
from training_recipes import SFT, merged

from lrmctl.recipe.schema.recipes import SftRecipe
from lrmctl.training import availability


@pytest.mark.parametrize("there", [0, 1, 2])
def test_any_sign_of_the_driver_is_enough(there: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A container may hide the driver's entry in /proc, and Windows' Linux has neither it nor the usual device."""
    signs = tuple(str(tmp_path / name) for name in ("version", "nvidiactl", "dxg"))
    monkeypatch.setattr(availability, "_DRIVER", signs)
    recipe = SftRecipe.model_validate(merged(SFT, {"backend.device": "cuda"}))
    assert not availability.fits_this_machine(recipe)
    Path(signs[there]).touch()
    assert availability.fits_this_machine(recipe)
