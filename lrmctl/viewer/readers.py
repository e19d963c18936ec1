"""Lines of a run's files as records, for whoever reads them one by one."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any

from lrmctl._util.jsonl import parse_row
from lrmctl.lexicons import Lexicon
from lrmctl.monitors.monitor import per_step_of, recipe_of
from lrmctl.runs.eval_rows import row_decoder
from lrmctl.viewer.annotations import Annotations
from lrmctl.viewer.records import Record, ViewedRun, of_rollout, of_row

Reader = Callable[[bytes, int], Record | None]
"""Called with a line and its number, from 1; None for a line that is not a row."""


def row_reader(run: ViewedRun, lexicon: Lexicon | None) -> Reader:
    """Reads lines of `eval/rows.jsonl`."""
    known, decode = Annotations(run.path), row_decoder()

    def read(line: bytes, _: int) -> Record | None:
        try:
            return of_row(decode(line), run.label, lexicon, known)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return None

    return read


def rollout_reader(run: ViewedRun, lexicon: Lexicon | None) -> Reader:
    """Reads lines of `rollouts.jsonl`, first in their order, since steps are counted."""
    per_step = per_step_of(recipe_of(run.path))
    trained, steps = count(), dict[int, int]()

    def step_of(row: Any, number: int) -> int | None:
        if not per_step or row.get("phase", "train") != "train" or row.get("attempt", 1) != 1:
            return None  # a later attempt repeats the steps after its checkpoint, and no row says which that was
        if number not in steps:
            steps[number] = next(trained) // per_step + 1
        return steps[number]

    def read(line: bytes, number: int) -> Record | None:
        row = parse_row(line)
        return None if row is None else of_rollout(row, run.label, number, step_of(row, number), lexicon)

    return read
