"""A study's arms over all its bases and training seeds, on the terminal or as JSON, CSV or Markdown."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Literal

from lrmctl import console
from lrmctl.errors import NotFoundError

Form = Literal["json", "csv", "md", ""]


def study_at(name: str, runs_dir: Path) -> Path | None:
    """The folder of a study that an argument names, as `run:NAME`, its name or its folder; None if it is no study."""
    from lrmctl.runs.study_cells import STUDY_FILE

    places = [runs_dir / name.removeprefix("run:"), Path(name)]
    return next((place for place in places if (place / STUDY_FILE).is_file()), None)


def show_across(study: Path, form: Form) -> None:
    """Print what each arm changes.

    Raises:
        NotFoundError: no arm can be compared yet.
    """
    from lrmctl.comparison import compare_across
    from lrmctl.reporting.across import across_section

    found = compare_across(study)
    if not found.deltas:
        why = "; ".join(found.left_out) or "it has no evaluated arm beside its base"
        raise NotFoundError(f"nothing can be compared: {why}", str(study), "give `lrmctl study` again, which goes on")
    if form == "json":
        deltas = [delta.to_json() for delta in found.deltas]
        console.emit_json("compare-study", {"deltas": deltas, "left_out": list(found.left_out)})
        return
    section = across_section(found.deltas)
    table, of_bases = section.tables
    if form == "csv":
        out = io.StringIO()
        csv.writer(out).writerows([table.columns, *table.rows])
        print(out.getvalue(), end="")
        return
    if form == "md":
        lines = [table.columns, ["---"] * len(table.columns), *table.rows]
        print("\n".join(f"| {' | '.join(str(cell).replace('|', chr(92) + '|') for cell in line)} |" for line in lines))
        return
    for sentence in section.sentences:
        console.out.print(sentence, markup=False)
    for one in (table, of_bases):
        console.out.print()
        console.table(one.title, one.columns, one.rows)
    for line in (f"judges: {section.judges}", *(f"left out: {reason}" for reason in found.left_out)):
        console.out.print(line, markup=False)
