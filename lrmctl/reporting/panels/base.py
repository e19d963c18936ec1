"""What all panels are made of: panels, tables, sections, and the numbers of several arms picked out of an analysis."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from lrmctl.analysis.cells import ALL
from lrmctl.reporting.figures import ArmStyle, Drawing, PlottedEstimate, estimate
from lrmctl.reporting.load import KINDS, ArmData

FEWEST = 10
"""An outcome with fewer traces than this is not drawn: its mean is noise."""
DASH = "\N{EN DASH}"
Cell = Mapping[str, Any]


class Panel(NamedTuple):
    """One figure with its heading."""

    title: str
    drawing: Drawing


class DataTable(NamedTuple):
    """A table of texts.

    Attributes:
        name: as a drawing's, says what it is.
        columns: headings; the first column names the row.
        rows: cells, one for each column.
    """

    name: str
    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Section:
    """Panels and tables under one heading.

    Attributes:
        absent: sentences about what is not there.
    """

    title: str
    panels: Sequence[Panel] = ()
    caption: str = ""
    tables: Sequence[DataTable] = ()
    absent: Sequence[str] = field(default_factory=list)


@dataclass(frozen=True)
class View:
    """The arms as one temperature's figures see them."""

    arms: Sequence[ArmData]
    looks: Sequence[ArmStyle]
    sets: Mapping[str, str]
    temperature: float
    lexicon: str

    def name(self, *parts: str) -> str:
        """A drawing's name: what it shows and the temperature."""
        return drawing_name(*parts, self.temperature)

    def cells(self, analysis: str, kind: str, set_name: str, outcome: str = ALL) -> list[tuple[ArmStyle, Cell]]:
        """Each arm's cell, of the arms that have it."""
        also = {"lexicon": self.lexicon} if analysis == "reflection" else {}
        found = [
            (look, arm.cell(analysis, kind, set_name, self.temperature, outcome, **also))
            for look, arm in zip(self.looks, self.arms, strict=True)
        ]
        return [(look, cell) for look, cell in found if cell]

    def shown(self, analysis: str) -> Iterator[tuple[str, str]]:
        """Kind and set of what is drawn of an analysis: the set that stands for its kind, else all that it has."""
        cells = [c for arm in self.arms for c in getattr(arm, analysis).get("cells", ())]
        at = [c for c in cells if c["temperature"] == self.temperature]
        for kind in KINDS:
            names = list(dict.fromkeys(c["set"] for c in at if c["kind"] == kind))
            for name in [self.sets[kind]] if self.sets.get(kind) in names else names:
                yield kind, name

    def without(self, analysis: str) -> list[str]:
        """Labels of the arms that have no cell of an analysis at this temperature."""
        return [
            arm.arm.label
            for arm in self.arms
            if not any(c["temperature"] == self.temperature for c in getattr(arm, analysis).get("cells", ()))
        ]

    def absent(self, analysis: str, what: str, how: str) -> list[str]:
        """A sentence about arms without an analysis, if there are any.

        Args:
            what: the analysis in words.
            how: what makes it.
        """
        lacking = self.without(analysis)
        if len(lacking) == len(self.arms):
            return [f"No arm has {what} at this temperature; {how} makes it."]
        return [f"Without {what}: {', '.join(lacking)}."] if lacking else []


def estimates(
    cells: Sequence[tuple[ArmStyle, Cell]], keys: Sequence[str], scale: float = 1.0
) -> list[tuple[ArmStyle, Mapping[str, PlottedEstimate]]]:
    """The estimates of each arm by key, of those that are there."""
    return [(look, {k: e for k in keys if (e := estimate(cell.get(k), scale))}) for look, cell in cells]


def any_of(rows: Sequence[tuple[ArmStyle, Mapping[str, PlottedEstimate]]]) -> bool:
    """Whether there is anything to draw."""
    return any(found for _, found in rows)


def drawing_name(*parts: str | float) -> str:
    """Parts joined to a name that serves as an id and a file name: letters, digits, `-` and `_`."""
    words = [f"T{p:g}" if isinstance(p, float) else p for p in parts]
    return "-".join(re.sub(r"[^A-Za-z0-9_]+", "_", word).strip("_") for word in words)


def heading(kind: str, set_name: str, sets: Mapping[str, str]) -> str:
    """Title of a kind's panel; a set that does not stand for its kind is named."""
    return kind.capitalize() if sets.get(kind) == set_name else f"{kind.capitalize()}, {set_name}"


def written(cell: Cell | None, scale: float = 1.0, form: Callable[[float], str] = "{:.1f}".format) -> str:
    """An estimate as a table writes it: value and interval; a dash where there is none."""
    found = estimate(cell, scale)
    if found is None:
        return DASH
    if found.low is None or found.high is None:
        return form(found.value)
    return f"{form(found.value)} ({form(found.low)} to {form(found.high)})"
