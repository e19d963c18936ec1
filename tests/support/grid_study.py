"""An evaluated study of two bases, two training seeds and two arms, one of which starts from the other."""

from __future__ import annotations

import shutil
from pathlib import Path

from report_fixtures import make_arm

from lrmctl.runs.study_cells import StudyCell, cell_path, write_cells, write_holes

ARMS = (("sft-mixed", "base"), ("rl", "sft-mixed"))


def grid_study(folder: Path, made: Path) -> Path:
    """Write the study; one cell failed in training.

    Args:
        made: an empty folder for the runs that its cells are copied from.
    """
    for name in ("base", "sft-mixed", "rl"):
        make_arm(made, name, n=6)
    cells = []
    for base in ("x", "y"):
        cells.append(StudyCell(base, None, "base", cell_path(base, None, "base", matrix=True), "Base"))
        for seed in (0, 1):
            for arm, start in ARMS:
                path = cell_path(base, seed, arm, matrix=True)
                cells.append(StudyCell(base, seed, arm, path, arm.upper(), start=start))
    for cell in cells:
        if cell.path != "y/seed-1/rl":
            shutil.copytree(made / cell.arm, folder / cell.path)
    write_cells(folder, {"recipe": {"name": "grid", "description": "A grid"}, "rebuild_base": False}, cells)
    write_holes(folder, {"y/seed-1/rl": "no <memory>\nand more"})
    return folder
