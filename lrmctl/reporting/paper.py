"""A report's figures and tables as files for a paper: SVG, PDF and PNG; LaTeX (booktabs) and CSV.

`results.csv` has the figures of the main table as numbers, one a line; the other tables are as the page shows them.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from lrmctl.errors import RunExistsError
from lrmctl.reporting.figures import Canvas, Drawing
from lrmctl.reporting.figures.render import FORMATS
from lrmctl.reporting.panels.base import DASH, DataTable, Panel, drawing_name, written
from lrmctl.reporting.table import COLUMNS, FORM, REASONING, Column, PairedArm
from lrmctl.runs.damage import read_object
from lrmctl.runs.holding import one_at_a_time
from lrmctl.runs.output import refuse_no_folder
from lrmctl.runs.writing import write_json, write_text

LISTING = "figures.json"
"""Names what was written, so that the next report replaces that and nothing else."""
_SPECIAL = {
    "<": r"\textless{}", ">": r"\textgreater{}", "\N{MINUS SIGN}": "$-$", "\N{OPEN BOX}": r"\textvisiblespace{}",
    "\N{HORIZONTAL ELLIPSIS}": r"\ldots{}",
}  # fmt: skip


def check_folder(folder: Path, *, force: bool = False) -> None:
    """See that the files can be written there, and that nothing of somebody else is lost.

    Raises:
        LrmctlError: it is no folder, or holds files that no report wrote.
    """
    refuse_no_folder(folder, "--figures")
    if not force and folder.exists() and not (folder / LISTING).exists() and any(folder.iterdir()):
        what = "holds files that this command did not write"
        raise RunExistsError(what, f"--figures {folder}", "name another folder, or add --force")


def write_paper(
    folder: Path,
    drawings: Iterable[Drawing],
    tables: Iterable[DataTable],
    numbers: Sequence[Mapping[str, Any]],
) -> list[Path]:
    """Write every figure and table; what an earlier report wrote there and this one does not is deleted.

    Args:
        numbers: rows of `results.csv`.

    Returns:
        The files, without the listing of them.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with one_at_a_time(folder):
        before = _listed(folder)
        canvas = Canvas()
        made = [path for drawing in drawings for path in canvas.save(drawing, folder)]
        for table in tables:
            made += [folder / f"{table.name}.tex", folder / f"{table.name}.csv"]
            write_text(made[-2], latex(table))
            write_text(made[-1], _csv([table.columns, *table.rows]))
        made.append(folder / "results.csv")
        columns = list(_number("", "", 0.0, COLUMNS[0], "", {}))
        write_text(made[-1], _csv([columns, *([row[c] for c in columns] for row in numbers)]))
        for name in before - {path.name for path in made}:
            (folder / name).unlink(missing_ok=True)
        write_json(folder / LISTING, {"formats": list(FORMATS), "files": sorted(path.name for path in made)})
    return made


def latex(table: DataTable) -> str:
    """A table as a `tabular` with booktabs rules; every text is escaped."""
    import pandas as pd

    rows = [[_one_line(cell) for cell in row] for row in table.rows]
    frame = pd.DataFrame(rows, columns=[_one_line(column) for column in table.columns])
    text: str = frame.to_latex(index=False, escape=True, column_format="l" + "r" * (len(table.columns) - 1))
    for character, command in _SPECIAL.items():
        text = text.replace(character, command)
    return f"% {_one_line(table.title)}\n% needs \\usepackage{{booktabs}}\n{text}"


def main_tables(table: Mapping[str, Any], paired: Sequence[PairedArm], sets: Sequence[Any]) -> Iterator[DataTable]:
    """The page's tables: results, form, reasoning and differences at each temperature, and every set.

    Args:
        table: the main table.
        paired: each arm against the base.
        sets: of `every_set`.
    """
    for block in table["temperatures"]:
        t = float(block["temperature"])
        main = [column for column in COLUMNS if column.key in _MAIN]
        for name, columns in (("main", main), ("results", COLUMNS), ("form", FORM), ("reasoning", REASONING)):
            heads = [f"{c.kind}: {c.title}{', %' if c.unit == '%' else ''}" for c in columns]
            rows = [[row["label"], *(_cell(row["cells"][c.key], c.unit) for c in columns)] for row in block["rows"]]
            yield DataTable(drawing_name("table", name, t), f"{name}, T = {t:g}", ["Arm", *heads], rows)
    yield DataTable("table-differences", "paired differences to the base, points", _DELTAS, list(_deltas(paired)))
    for of_kind in sets:
        heads = [f"{title}, %" for title in of_kind["metrics"].values()]
        rows = [
            [block["set"], f"{block['temperature']:g}", row["label"], *(_cell(c, "%") for c in row["cells"].values())]
            for block in of_kind["blocks"]
            for row in block["rows"]
        ]
        name = drawing_name("table", "every_set", of_kind["kind"])
        yield DataTable(name, f"every {of_kind['kind']} set", ["Set", "T", "Arm", *heads], rows)


_MAIN = ("joint_safe", "answer_safe", "complied", "correct")
"""Columns of the table that fits a paper's page."""
_DELTAS = ["Arm", "Set", "T", "Metric", "Points", "p", "Prompts", "Better", "Worse", "Equal"]


def _deltas(paired: Sequence[PairedArm]) -> Iterator[list[str]]:
    for pair in paired:
        for d in pair.deltas:
            points = written({"value": d.delta, "low": d.low, "high": d.high}, 100, "{:+.1f}".format)
            counts = [str(n) for n in (d.prompts, d.wins, d.losses, d.ties)]
            signed = points.replace("-", "\N{MINUS SIGN}")
            yield [
                pair.arm.arm.label,
                d.set,
                f"{d.temperature:g}",
                d.metric,
                signed,
                "< 0.001" if d.p < 0.001 else f"{d.p:.3f}",
                *counts,
            ]


def numbers_of(table: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The main table's figures, one a row; rates between 0 and 1, and None where nothing was measured."""
    every = (*COLUMNS, *FORM, *REASONING)
    return [
        _number(row["name"], row["label"], block["temperature"], column, table["sets"].get(column.kind), cell)
        for block in table["temperatures"]
        for row in block["rows"]
        for column in every
        if (cell := row["cells"][column.key])
    ]


def _number(
    name: str, label: str, temperature: float, column: Column, set_name: str | None, cell: Mapping[str, Any]
) -> dict[str, Any]:
    return {
        "arm": name,
        "label": label,
        "temperature": temperature,
        "kind": column.kind,
        "set": set_name,
        "source": column.source,
        "metric": column.metric,
        "unit": "share" if column.unit == "%" else column.unit,
        **{key: cell.get(key) for key in ("value", "low", "high", "n")},
    }


def drawings_of(panels: Iterable[Panel]) -> list[Drawing]:
    """The drawings of panels, each name once."""
    return list({panel.drawing.name: panel.drawing for panel in panels}.values())


def _cell(found: Mapping[str, Any] | None, unit: str) -> str:
    form = {"%": "{:.1f}", "tokens": "{:.1f}", "nats": "{:.3f}"}.get(unit, "{:.2f}").format
    return written(found, 100 if unit == "%" else 1, form) if found else DASH


def _csv(rows: Iterable[Sequence[Any]]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(rows)
    return out.getvalue()


def _one_line(text: str) -> str:
    return " ".join(text.split()) or " "


def _listed(folder: Path) -> set[str]:
    """Names that an earlier report wrote, of plain files in the folder only."""
    if not (folder / LISTING).exists():
        return set()
    names = read_object(folder / LISTING).get("files")
    return {n for n in names if isinstance(n, str) and Path(n).name == n} if isinstance(names, list) else set()
