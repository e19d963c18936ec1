"""Tables of the analyses that a recipe names under `analysis.also`, most of them from plugins."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lrmctl.reporting.load import ArmData
from lrmctl.reporting.panels.base import DASH, DataTable, Section, View

_COLUMNS = ("Arm", "Set", "Kind", "Outcome", "Figure", "Value (95 % interval)", "n", "Better")


def further_section(view: View) -> Section:
    """One table for each analysis that an arm has at this temperature; without a title if there is none."""
    names = sorted({name for arm in view.arms for name in arm.further})
    tables = [table for name in names for table in _tables(view, name)]
    failed = [
        f"{arm.arm.label}: the analysis {found['analysis']} failed: {found['error']}"
        for arm in view.arms
        for found in arm.further.values()
        if found.get("error")
    ]
    if not tables and not failed:
        return Section("")
    return Section("Further analyses", (), f"n: prompts. From {_origins(view.arms)}.", tables, failed)


def _tables(view: View, name: str) -> Iterator[DataTable]:
    rows = [
        [look.full_label, *_row(cell)]
        for look, arm in zip(view.looks, view.arms, strict=True)
        for cell in arm.further.get(name, {}).get("cells", ())
        if cell["temperature"] == view.temperature
    ]
    if rows:
        title = next(arm.further[name]["analysis"] for arm in view.arms if name in arm.further)
        yield DataTable(view.name("also", name), title, _COLUMNS, rows)


def _row(cell: Mapping[str, Any]) -> list[str]:
    better = "" if cell["better"] == "neither" else cell["better"]
    return [cell["set"], cell["kind"], cell["outcome"], cell["figure"], _value(cell), f"{cell['n']:,}", better]


def _value(cell: Mapping[str, Any]) -> str:
    if cell["value"] is None:
        return DASH
    known = cell["low"] is not None and cell["high"] is not None
    bounds = f" ({cell['low']:.4g} to {cell['high']:.4g})" if known else ""
    return f"{cell['value']:.4g}{bounds} {cell['unit']}".rstrip()


def _origins(arms: Sequence[ArmData]) -> str:
    """Which distribution each analysis is from; all that the arms say, which may differ."""
    found = (one for arm in arms for one in arm.further.values())
    return "; ".join(sorted({f"{one['analysis']}: {one['distribution']} {one['version']}".rstrip() for one in found}))
