"""`lrmctl judge agree`: how far judges agree, and where they differ."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lrmctl.cli import completion
from lrmctl.cli.commands.judge.options import Abouts, TextParts
from lrmctl.cli.common import RUNS, AsJson, RunsDir

if TYPE_CHECKING:
    from lrmctl.judges.offline.agree import ComparedJudges, ComparedRow


def agree(
    targets: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN|FILE...",
            help="An evaluated run, its rows.jsonl, or verdict files that `judge score` wrote.",
            autocompletion=completion.runs(variants=True),
        ),
    ],
    about: Annotated[Abouts, typer.Option(help="The question that is compared.")] = Abouts.UNSAFE,
    part: Annotated[TextParts | None, typer.Option("--part", help="One part only; all by default.")] = None,
    limit: Annotated[int, typer.Option(min=0, help="Most rows to list.")] = 20,
    runs_dir: RunsDir = RUNS,
    as_json: AsJson = False,
) -> None:
    """Show how far judges agree, and list rows on which they differ.

    Compares the members of a panel, and the judges of an evaluation or of several verdict files. Agreement is
    Krippendorff's alpha: 1 is full agreement, 0 what chance would give. No judge is asked.

    Examples:
        lrmctl judge agree rl --about refused
        lrmctl judge agree a.verdicts.jsonl b.verdicts.jsonl --limit 50
    """
    from lrmctl import console
    from lrmctl.judges.offline.agree import compared_judges

    found = compared_judges(_rows(targets, runs_dir), about.value, part.value if part else None, limit)
    if as_json:
        data = {"agreement": [one.to_json() for one in found.agreement], "differ": found.differ}
        console.emit_json("judge agree", {**data, "rows": [row.to_json() for row in found.rows]})
        return
    _show(found, about.value)


def _rows(targets: Sequence[str], runs_dir: Path) -> Iterator[ComparedRow]:
    from lrmctl.api.side_by_side import evaluated_folder
    from lrmctl.judges.offline.agree import rows_of_evaluation, rows_of_verdicts

    files = [Path(target) for target in targets if Path(target).is_file()]
    verdicts = [file for file in files if file.name != "rows.jsonl"]
    for target in targets:
        if Path(target) not in files:
            yield from rows_of_evaluation(evaluated_folder(target, runs_dir) / "rows.jsonl")
    for file in files:
        if file not in verdicts:
            yield from rows_of_evaluation(file)
    if verdicts:
        yield from rows_of_verdicts(verdicts)


def _show(found: ComparedJudges, about: str) -> None:
    from lrmctl import console

    rows = [
        (
            _words(one.cell),
            one.found.part,
            "panel" if one.found.of == "panel" else "judges",
            ", ".join(one.found.raters),
            _alpha(one.found.alpha, one.found.low, one.found.high),
            f"{one.found.differ} of {one.found.rows}",
        )
        for one in found.agreement
    ]
    if rows:
        console.table("", ("rows", "part", "of", "who", "alpha [95 %]", "differ"), rows)
    else:
        console.say(f"no two judges say whether a text is {about}")
    for row in found.rows:
        place = _words({**row.cell, **row.place})
        said = "; ".join(f"{title}: {opinion.shown}" for title, opinion in row.rated.opinions.items())
        console.out.print(f"{place}, {row.rated.part}: {said}", markup=False)
        for name, text in (("prompt", row.prompt), ("text", row.text)):
            if text:
                console.out.print(f"    {name}: {' '.join(text.split())}", markup=False)
    if (more := found.differ - len(found.rows)) > 0:
        console.say(f"{more} more rows on which they differ; --limit shows more")


def _words(named: Mapping[str, object]) -> str:
    return ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in named.items())


def _alpha(value: float | None, low: float | None, high: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.2f}" + ("" if low is None or high is None else f" [{low:.2f}, {high:.2f}]")
