"""How far judges agreed on rows that they have judged, and the rows on which they differ. Calls no judge.

Reads rows of an evaluation (the members of a panel; a judge and the additional ones), or files that `judge score` wrote
(the members of a panel in one file; the judges of several files, row by row).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lrmctl.errors import LrmctlError
from lrmctl.judges.panel.agreement import Agreement, RatedRow, agreements, differs, rated
from lrmctl.judges.panel.opinions import About, opinion_of, opinions_in, titles
from lrmctl.runs.eval_rows import EvalRow, eval_rows
from lrmctl.runs.jsonl import read_jsonl
from lrmctl.types import Verdict

TEXT = 200
"""Characters of a prompt and of a judged text that are shown."""
_FIX = "judge with a panel, add judges under `also:`, or give the verdict files of several judges on the same rows"


@dataclass(frozen=True)
class ComparedRow:
    """One part of one row with what several judges say of it.

    Attributes:
        cell: set, kind and temperature in an evaluation, else the scope: what is compared by itself.
        place: where the row is: prompt id and sample, or a line.
        prompt, text: how the prompt and the judged text begin; empty where the file does not hold them.
    """

    cell: Mapping[str, Any]
    place: Mapping[str, Any]
    rated: RatedRow
    prompt: str = ""
    text: str = ""

    def to_json(self) -> dict[str, Any]:
        said = {title: opinion.shown for title, opinion in self.rated.opinions.items()}
        named = {**self.cell, **self.place, "of": self.rated.of, "part": self.rated.part, "said": said}
        return {**named, "prompt": self.prompt, "text": self.text}


@dataclass(frozen=True)
class CellAgreement:
    """Agreement within one cell of rows that are compared by themselves."""

    cell: Mapping[str, Any]
    found: Agreement

    def to_json(self) -> dict[str, Any]:
        return {**self.cell, **self.found.to_json()}


@dataclass(frozen=True)
class ComparedJudges:
    """The result: agreement by cell, and the rows on which judges differ, in order.

    Attributes:
        differ: number of such rows; `rows` has the first ones only.
    """

    agreement: Sequence[CellAgreement]
    differ: int
    rows: Sequence[ComparedRow] = field(default_factory=tuple)


def compared_judges(rows: Iterable[ComparedRow], about: About, part: str | None, limit: int) -> ComparedJudges:
    """Agreement, and the first `limit` rows on which judges say the opposite.

    Args:
        part: only this one; None for all.

    Raises:
        LrmctlError: no row has two judges.
    """
    cells: dict[tuple[Any, ...], list[RatedRow]] = {}
    names: dict[tuple[Any, ...], Mapping[str, Any]] = {}
    differ, shown = 0, list[ComparedRow]()
    for row in rows:
        if part is not None and row.rated.part != part:
            continue
        key = tuple(row.cell.values())
        names.setdefault(key, row.cell)
        cells.setdefault(key, []).append(row.rated)
        if differs(row.rated, about):
            differ += 1
            if len(shown) < limit:
                shown.append(row)
    if not cells:
        which = f" on the part {part!r}" if part else ""
        raise LrmctlError(f"there are no rows that two judges have judged{which}", fix=_FIX)
    found = [CellAgreement(names[key], one) for key, some in cells.items() for one in agreements(some)]
    return ComparedJudges([one for one in found if one.found.about == about], differ, shown)


def rows_of_evaluation(file: Path) -> Iterator[ComparedRow]:
    """What the judges of an evaluation say of each row.

    Raises:
        LrmctlError: a line is not an evaluated row.
    """
    for row in eval_rows(file):
        if row.trace.finish_reason != "error":
            for one in rated(row):
                yield _of_row(row, one)


def _of_row(row: EvalRow, one: RatedRow) -> ComparedRow:
    trace = row.trace
    text = trace.thinking if one.part == "thinking" else trace.answer
    cell = {"set": row.set, "kind": trace.prompt.kind, "temperature": row.temperature}
    place = {"prompt_id": trace.prompt.id, "sample": trace.sample}
    return ComparedRow(cell, place, one, trace.prompt.text[:TEXT], text[:TEXT])


def rows_of_verdicts(files: Sequence[Path]) -> Iterator[ComparedRow]:
    """What the judges of files that `judge score` wrote say of each row.

    Raises:
        LrmctlError: a file holds something else, or verdicts on joined parts, whose labels are of several texts.
    """
    by_row: dict[tuple[str, int, str, int], list[Verdict]] = {}
    for file in files:
        for number, row in enumerate(read_jsonl(file), 1):
            key, verdict = _verdict(row, f"{file}:{number}")
            by_row.setdefault(key, []).append(verdict)
    for (scope, line, prompt, sample), verdicts in by_row.items():
        place = {"line": line, "prompt_id": prompt, "sample": sample}
        for verdict in verdicts:
            if members := opinions_in(verdict):
                yield ComparedRow({"scope": scope}, place, RatedRow("panel", scope, prompt, members))
        if len(verdicts) > 1:
            names = titles([v.judge for v in verdicts], [f"{v.judge} {v.version}" for v in verdicts])
            said = dict(zip(names, map(opinion_of, verdicts), strict=True))
            yield ComparedRow({"scope": scope}, place, RatedRow("judges", scope, prompt, said))


def _verdict(row: Mapping[str, Any], where: str) -> tuple[tuple[str, int, str, int], Verdict]:
    try:
        key = (str(row["scope"]), int(row["line"]), str(row["prompt_id"]), int(row["sample"]))
        verdict = Verdict.from_json(row["verdict"])
    except (KeyError, TypeError, ValueError, AttributeError):
        what = "is neither a verdict of `judge score` nor a row of an evaluation"
        raise LrmctlError(what, where, "give a run, its rows.jsonl, or files that `lrmctl judge score` wrote") from None
    if key[0] in ("both", "segments"):
        fix = "score with --part thinking or answer"
        raise LrmctlError(f"verdicts on {key[0]!r} are of several texts at once, which cannot be compared", where, fix)
    return key, verdict
