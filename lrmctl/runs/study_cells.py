"""The cells of a study: which arm on which base with which training seed, its folder, and why it is a hole.

    RUNS/STUDY/study.json holes.json report.html   ARM/                  one base and one seed
    RUNS/STUDY/...   BASE/base/   BASE/seed-N/ARM/   BASE/seed-N/report.html   several bases or seeds

Each cell is a run folder of its own. The base is evaluated once for all training seeds. Knows no recipe: `study.json`
lists the cells.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from lrmctl.runs.damage import DamagedError, part_of, read_object
from lrmctl.runs.names import check_name
from lrmctl.runs.writing import write_json

BASE = "base"
"""Name of the untrained model among a study's arms."""
STUDY_FILE = "study.json"
HOLES_FILE = "holes.json"
_MOST_PARTS = 3


@dataclass(frozen=True)
class StudyCell:
    """One model of a study.

    Attributes:
        base: name of its base.
        seed: the training seed; None for the base itself, and in a study of one base without `seeds:`.
        arm: the arm's name, or `base`.
        path: the run folder relative to the study's, e.g. `Qwen3-4B/seed-0/rl`; also the cell's name.
        label, control: as the report shows it.
        start: the arm that its training started from, or `base`; empty for the base itself.
        evaluated: whether the study evaluates it.
        intermediate: a stage on the way to an arm, and no arm of its own.
        study: the study's folder.
        hole: what failed, or that it has not been evaluated yet; empty for a complete cell. A cell whose analysis
            failed is a hole with evaluated rows.
        failed: the hole is one because a stage failed.
    """

    base: str
    seed: int | None
    arm: str
    path: str
    label: str = ""
    control: bool = False
    start: str = ""
    evaluated: bool = True
    intermediate: bool = False
    study: Path = Path()
    hole: str = ""
    failed: bool = False

    @property
    def folder(self) -> Path:
        return self.study / self.path

    @property
    def rows(self) -> Path:
        """The rows of its evaluation; may not exist."""
        return self.folder / "eval" / "rows.jsonl"

    def to_json(self) -> dict[str, Any]:
        return {key: value for key, value in asdict(self).items() if key not in ("study", "hole", "failed")}


class CellGroup(NamedTuple):
    """The arms of one base and one training seed; the base comes first."""

    base: str
    seed: int | None
    cells: Sequence[StudyCell]

    @property
    def path(self) -> str:
        """Folder of the group's report, relative to the study's; empty for the study itself."""
        trained = next((cell for cell in self.cells if cell.arm != BASE), None)
        parent = PurePosixPath(trained.path).parent.as_posix() if trained else "."
        return "" if parent == "." else parent


def cell_path(base: str, seed: int | None, arm: str, *, matrix: bool) -> str:
    """The run folder of a cell relative to its study's.

    Args:
        matrix: the study has several bases or seeds.
    """
    if not matrix:
        return arm
    return f"{base}/{BASE}" if arm == BASE else f"{base}/seed-{seed}/{arm}"


def write_cells(study: Path, identity: Mapping[str, Any], cells: Iterable[StudyCell]) -> None:
    """Write `study.json`: what makes it this study, and its cells."""
    write_json(study / STUDY_FILE, {**identity, "cells": [cell.to_json() for cell in cells]})


def write_holes(study: Path, reasons: Mapping[str, str]) -> None:
    """Replace the list of cells that failed: path -> reason."""
    write_json(study / HOLES_FILE, {"holes": dict(reasons)})


def is_study(folder: Path) -> bool:
    """Whether a study lies there; not if the folder cannot be read."""
    try:
        return (folder / STUDY_FILE).is_file()
    except OSError:
        return False


def read_cells(study: Path) -> list[StudyCell]:
    """All cells of a study, base by base and seed by seed, as `study.json` lists them.

    Raises:
        DamagedError: `study.json` or `holes.json` is not what lrmctl wrote.
    """
    file = study / STUDY_FILE
    found = read_object(file)
    with part_of(file):
        listed = [StudyCell(**entry, study=study) for entry in found["cells"]] if "cells" in found else _older(found)
        for cell in listed:
            _check(cell, file)
    reasons = _reasons(study)
    return [_with_hole(cell, study, reasons) for cell in listed]


def groups_of(cells: Iterable[StudyCell]) -> list[CellGroup]:
    """The cells by base and training seed; a base's own cell is in the groups of all its seeds."""
    cells = list(cells)
    bases = {cell.base: cell for cell in cells if cell.arm == BASE}
    grouped: dict[tuple[str, int | None], list[StudyCell]] = {}
    for cell in cells:
        if cell.arm != BASE:
            grouped.setdefault((cell.base, cell.seed), []).append(cell)
    return [
        CellGroup(base, seed, [*([bases[base]] if base in bases else []), *found])
        for (base, seed), found in grouped.items()
    ]


def _older(found: Mapping[str, Any]) -> list[StudyCell]:
    """The cells of a study written before cells were listed: one base and one seed."""
    arms = [
        StudyCell(BASE, None, a["name"], a["name"], str(a["label"] or a["name"]), bool(a["control"]), BASE)
        for a in found["recipe"]["arms"]
    ]
    return [StudyCell(BASE, None, BASE, BASE, "Base"), *arms]


def _check(cell: StudyCell, file: Path) -> None:
    """Refuse paths that lead out of the study's folder."""
    parts = cell.path.split("/")
    if len(parts) > _MOST_PARTS:
        raise DamagedError(f"this file is damaged: {cell.path!r} is no cell's folder", str(file))
    for part in parts:
        check_name(part, str(file))


def _reasons(study: Path) -> dict[str, str]:
    file = study / HOLES_FILE
    with part_of(file):
        return {str(path): str(reason) for path, reason in dict(read_object(file).get("holes", {})).items()}


def _with_hole(cell: StudyCell, study: Path, reasons: Mapping[str, str]) -> StudyCell:
    reason = reasons.get(cell.path, "")
    there = (study / cell.path / "eval" / "summary.json").is_file()
    if not reason and cell.evaluated and not there:
        reason = "not evaluated yet"
    return replace(cell, study=study, hole=reason, failed=cell.path in reasons)
