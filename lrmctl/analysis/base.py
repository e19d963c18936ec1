"""What an analysis that a plugin brings is: it gets evaluated rows and gives figures, each with its interval.

For authors of plugins; helpers that make intervals over prompts are in `lrmctl.analysis`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from lrmctl.analysis.cells import Cell, Estimate
from lrmctl.runs.eval_rows import EvalRow

Better = Literal["higher", "lower", "neither"]


@dataclass(frozen=True)
class Figure:
    """One figure in one cell.

    Attributes:
        cell: set, kind of prompt, temperature and outcome that it is about; the outcome is `all` for everything there.
        name: what is measured, as tables show it.
        estimate: value, 95 % interval and the number of prompts; NaN where there is nothing to estimate from.
        unit: of the value and its interval, e.g. `tokens`; empty if it has none.
        better: which direction is good.
    """

    cell: Cell
    name: str
    estimate: Estimate
    unit: str = ""
    better: Better = "neither"


@dataclass(frozen=True)
class Findings:
    """What an analysis found.

    Attributes:
        figures: for the tables of `lrmctl analyze` and of the report.
        data: anything else that is worth keeping, as JSON values.
    """

    figures: Sequence[Figure]
    data: Mapping[str, Any] = field(default_factory=dict)


class Analysis(ABC):
    """Looks at the evaluated completions of one run. What it raises is recorded, and ends no other analysis.

    Attributes:
        reads_base: it compares with the base, whose rows it then gets too.
    """

    reads_base: bool = False

    @abstractmethod
    def analyze(self, rows: Sequence[EvalRow], base: Sequence[EvalRow] | None) -> Findings:
        """The findings in the rows of a run: every set, kind and temperature together. `base` has the rows of the base
        if `reads_base` is set and there is one, else None."""
