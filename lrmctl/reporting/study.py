"""The reports of a study: one per base and training seed, and a page with all cells and their headline figures.

A cell that failed is a hole with its reason, and no figure takes its place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from lrmctl.comparison import AcrossCells, compare_across
from lrmctl.reporting.across import across_section
from lrmctl.reporting.build import build_report, environment
from lrmctl.reporting.load import ArmData, ArmFolder
from lrmctl.reporting.table import COLUMNS, FORMAT, Column, main_table
from lrmctl.runs.check import check_summary
from lrmctl.runs.damage import part_of, read_object
from lrmctl.runs.holding import one_at_a_time
from lrmctl.runs.study_cells import BASE, STUDY_FILE, CellGroup, StudyCell, groups_of, read_cells
from lrmctl.runs.writing import write_json, write_text
from lrmctl.stats.hierarchical import REPLICATES
from lrmctl.viewer import DEFAULT_LIMIT

HEADLINES = ("joint_safe", "thinking_safe", "answer_safe", "complied", "correct")
"""Columns of the main table that stand for a cell."""


class MatrixCell(NamedTuple):
    """One cell of the page.

    Attributes:
        figures: by key of `HEADLINES`, `{"value", "low", "high", "n"}`, or None where nothing was measured.
    """

    cell: StudyCell
    figures: Mapping[str, Any]


class MatrixRow(NamedTuple):
    """One arm on one base: its cells by training seed; the base itself has one for all seeds."""

    base: str
    arm: str
    label: str
    control: bool
    start: str
    cells: Sequence[MatrixCell | None]


def is_matrix(cells: Iterable[StudyCell]) -> bool:
    """Whether a study has several bases or training seeds, and so a report per group."""
    return any(group.path for group in groups_of(cells))


def report_study(
    study: Path,
    *,
    out: Path | None = None,
    title: str = "",
    say: Callable[[str], None] = lambda _: None,
    traces: int = DEFAULT_LIMIT,
) -> Path:
    """Write a study's report and, if it has several bases or seeds, one per base and seed in its folder.

    Args:
        study: the study's folder.
        out: the study's page; `report.html` in its folder by default.
        title: of the page; the study's description by default.
        say, traces: as for `build_report`.

    Returns:
        The page's path.

    Raises:
        LrmctlError: a file of the study is not valid.
    """
    cells, page = read_cells(study), out or study / "report.html"
    title = title or _title(study)
    if not is_matrix(cells):
        (group,) = groups_of(cells)
        return build_report(group_arms(group), page, title=title, notes=hole_notes(cells), say=say, traces=traces)
    for group in groups_of(cells):
        name = f"{title}: {group.base}" + ("" if group.seed is None else f", seed {group.seed}")
        to = study / group.path / "report.html"
        build_report(group_arms(group), to, title=name, notes=hole_notes(group.cells), say=say, traces=traces)
    return _write_matrix(study, cells, page, title)


def group_arms(group: CellGroup) -> list[ArmFolder]:
    """The evaluated cells of one base and seed as a report's arms, the base first."""
    return [
        ArmFolder(cell.arm, cell.label or cell.arm, cell.control, cell.folder, "" if cell.start == BASE else cell.start)
        for cell in group.cells
        if cell.evaluated
    ]


def hole_notes(cells: Iterable[StudyCell]) -> tuple[str, ...]:
    """A sentence for each cell that failed."""
    return tuple(f"{cell.path} failed: {cell.hole.splitlines()[0]}" for cell in cells if cell.failed)


def _title(study: Path) -> str:
    with part_of(study / STUDY_FILE):
        recipe = read_object(study / STUDY_FILE)["recipe"]
        return str(recipe.get("description") or recipe.get("name") or study.name)


def _write_matrix(study: Path, cells: Sequence[StudyCell], out: Path, title: str) -> Path:
    from lrmctl._util.version import __version__
    from lrmctl.viewer.assets import colors

    data = [_summary(cell) for cell in cells if cell.evaluated]
    table = main_table(data, title) if data else {"temperatures": [], "sets": {}}
    figures = _figures(table)
    seeds = list(dict.fromkeys(group.seed for group in groups_of(cells)))
    rows = _rows(cells, seeds, figures)
    columns = [column for column in COLUMNS if column.key in HEADLINES]
    found = compare_across(study)
    page = (
        environment()
        .get_template("study.html.j2")
        .render(
            title=title,
            version=__version__,
            colors=colors(),
            columns=columns,
            seeds=seeds,
            rows=rows,
            across=across_section(found.deltas),
            left_out=found.left_out,
            replicates=REPLICATES,
            holes=[cell for cell in cells if cell.hole],
            groups=[(group, _link(out, study / group.path / "report.html")) for group in groups_of(cells)],
            sets=table["sets"],
            temperature=min((block["temperature"] for block in table["temperatures"]), default=None),
        )
    )
    with one_at_a_time(out.parent):
        write_json(out.with_name("table.json"), _as_json(cells, figures, columns, table, title, found))
        write_text(out, page)
    return out


def _link(page: Path, to: Path) -> str:
    import os

    return Path(os.path.relpath(to, page.parent)).as_posix()


def _summary(cell: StudyCell) -> ArmData:
    """A cell's summary alone, without its rows."""
    file = cell.folder / "eval" / "summary.json"
    check_summary(file)
    arm = ArmFolder(cell.path, cell.label or cell.arm, cell.control, cell.folder)
    return ArmData(arm, read_object(file), {}, {}, (), {}, {}, {})


def _figures(table: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Headline figures at the lowest temperature by cell."""
    blocks = sorted(table["temperatures"], key=lambda block: float(block["temperature"]))
    rows = blocks[0]["rows"] if blocks else ()
    return {row["name"]: {key: row["cells"][key] for key in HEADLINES} for row in rows}


def _rows(
    cells: Sequence[StudyCell], seeds: Sequence[int | None], figures: Mapping[str, Mapping[str, Any]]
) -> list[MatrixRow]:
    found: dict[tuple[str, str], dict[int | None, MatrixCell]] = {}
    for cell in cells:
        if cell.evaluated:
            found.setdefault((cell.base, cell.arm), {})[cell.seed] = MatrixCell(cell, figures.get(cell.path, {}))
    rows = []
    for (base, arm), by_seed in found.items():
        first = next(iter(by_seed.values())).cell
        every = [by_seed[None], *[None] * (len(seeds) - 1)] if arm == BASE else [by_seed.get(seed) for seed in seeds]
        rows.append(MatrixRow(base, arm, first.label or arm, first.control, first.start, every))
    return rows


def _as_json(
    cells: Sequence[StudyCell],
    figures: Mapping[str, Mapping[str, Any]],
    columns: Sequence[Column],
    table: Mapping[str, Any],
    title: str,
    found: AcrossCells,
) -> dict[str, Any]:
    """The page as data; `deltas` is empty because differences are in the groups' own tables."""
    return {
        "format": FORMAT,
        "title": title,
        "sets": table["sets"],
        "columns": [column._asdict() for column in columns],
        "cells": [{**cell.to_json(), "hole": cell.hole, "figures": figures.get(cell.path, {})} for cell in cells],
        "deltas": [],
        "across": [delta.to_json() for delta in found.deltas],
        "left_out": list(found.left_out),
    }
