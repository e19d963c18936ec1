"""The cells of a study with their outcomes per prompt: what statistics over bases and training seeds start from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lrmctl.comparison.tally import Evaluated, tally
from lrmctl.runs.eval_rows import eval_rows
from lrmctl.runs.study_cells import StudyCell, read_cells


@dataclass(frozen=True)
class CellScores:
    """A cell and its evaluation reduced to per-prompt outcomes.

    Attributes:
        cell: base, seed, arm, start, folder, and the reason if it is a hole.
        scores: by set, kind and temperature; empty without evaluated rows. `scores[key].index` maps a prompt's id to
            its place and `scores[key].means(metric)` is [prompts] in that order, NaN where no sample counts. Prompts
            are matched across cells by id.
    """

    cell: StudyCell
    scores: Evaluated


def cell_scores(study: Path, *, every: bool = False) -> Iterator[CellScores]:
    """Every cell that the study evaluates, in the order of `read_cells`; holes too, mostly with empty scores.

    Cells are read one at a time; only the tallies that the caller keeps stay in memory.

    Args:
        study: the study's folder, with `study.json`.
        every: tally every metric, not only the main ones and the figures beside them.

    Raises:
        DamagedError: a file of the study is not what lrmctl wrote.
    """
    for cell in read_cells(study):
        if cell.evaluated:
            yield CellScores(cell, scores_of(cell, every=every))


def scores_of(cell: StudyCell, *, every: bool = False) -> Evaluated:
    """The per-prompt outcomes of one cell; empty if it has no evaluated rows."""
    return tally(eval_rows(cell.rows), every=every) if cell.rows.is_file() else {}
