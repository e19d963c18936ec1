"""`lrmctl compare`: evaluated runs against a baseline, prompt by prompt."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from lrmctl.cli import completion
from lrmctl.cli.common import RUNS, AsJson, RunsDir

if TYPE_CHECKING:
    from lrmctl.comparison import Comparison
    from lrmctl.comparison.flips import Flip, FlipSample

_ALLOWED = ("prompts", "reference", "samples", "sampling", "decoding", "system", "template_args", "judge")
Runs = Annotated[
    list[str],
    typer.Argument(
        metavar="A B [C ...]",
        autocompletion=completion.runs(variants=True, studies=True),
        help="Evaluated runs, the baseline first: run:NAME, its name, its folder; NAME@VARIANT for a variant."
        " One study alone: its arms over all bases and seeds.",
    ),
]


def compare(
    runs: Runs,
    runs_dir: RunsDir = RUNS,
    allow: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KEY",
            autocompletion=completion.of_words(*_ALLOWED),
            help="Pair although this differs: prompts, reference, samples, sampling, decoding, system, template_args,"
            " judge. Repeatable.",
        ),
    ] = None,
    metric: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Only this metric; repeatable. Default: the main ones.",
            autocompletion=completion.metrics(),
        ),
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Every metric.")] = False,
    flips: Annotated[int, typer.Option(min=0, metavar="N", help="List N flipped prompts per set and direction.")] = 0,
    show_text: Annotated[bool, typer.Option("--show-text", help="With --flips: print prompts and responses.")] = False,
    as_md: Annotated[bool, typer.Option("--md", help="Print Markdown on stdout.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV on stdout, one line per difference.")] = False,
    as_json: AsJson = False,
) -> None:
    """Paired differences B - A with 95 % intervals and p.

    Each further run is compared with the first. Refused if prompts, sampling, decoding or judges differ, unless
    allowed. A study by itself: its arms over all bases and training seeds.

    Examples:
        lrmctl compare base rl
        lrmctl compare base sft rl --metric joint_safe --flips 5 --show-text
        lrmctl compare families --md
    """
    from lrmctl import api, console

    if len(runs) == 1 and not (flips or show_text or metric or every or allow):
        from lrmctl.cli.views.across import show_across, study_at

        if (folder := study_at(runs[0], runs_dir)) is not None:
            _check([*runs, ""], flips, show_text, [as_md, as_csv, as_json])
            show_across(folder, "json" if as_json else "csv" if as_csv else "md" if as_md else "")
            return
    _check(runs, flips, show_text, [as_md, as_csv, as_json])
    found = api.compare(*runs, allow=allow or (), metrics=_metrics(metric, every), runs_dir=runs_dir)
    if as_json:
        console.emit_json("compare", [c.to_json() for c in found])
    elif as_csv:
        from lrmctl.comparison.render import csv_table

        print(csv_table(found), end="")
    elif as_md:
        from lrmctl.comparison.render import markdown

        print("\n".join(markdown(c) for c in found), end="")
    else:
        for comparison in found:
            _show(comparison, flips, show_text)


def _check(runs: Sequence[str], flips: int, show_text: bool, forms: Sequence[bool]) -> None:
    from lrmctl.errors import LrmctlError

    if len(runs) < 2:
        raise LrmctlError("there is nothing to compare it with", fix=f"lrmctl compare BASELINE {runs[0]}")
    if sum(forms) > 1:
        raise LrmctlError("--md, --csv and --json exclude each other", fix="give one of them")
    if any(forms) and (flips or show_text):
        raise LrmctlError("--flips is for the terminal", fix="--json always lists the ids of all flipped prompts")
    if show_text and not flips:
        raise LrmctlError("--show-text shows the texts of flipped prompts", fix="add --flips N")


def _metrics(named: Sequence[str] | None, every: bool) -> set[str] | None:
    from lrmctl.metrics import METRICS

    if every:
        return {name for of_kind in METRICS.values() for name in of_kind}
    return set(named) if named else None


def _show(comparison: Comparison, most: int, show_text: bool) -> None:
    from lrmctl import console
    from lrmctl.comparison import render

    console.out.print(f"A = {comparison.a.name}   B = {comparison.b.name}\n", markup=False)
    for block in (*render.blocks(comparison), *render.question_blocks(comparison)):
        if block.heading:
            console.out.print(block.heading, markup=False)
        if block.rows:
            console.table("", block.columns, block.rows)
        console.out.print()
    for line in (*render.FOOTER, *render.notes(comparison)):
        console.out.print(line, markup=False)
    for line in render.flip_lines(comparison.flips, most, _texts(comparison, most) if show_text else ()):
        console.out.print(line, markup=False)
    console.out.print()


def _texts(comparison: Comparison, most: int) -> list[dict[Flip, FlipSample]]:
    from lrmctl.comparison.flips import chosen, readings

    wanted = chosen(comparison.flips, most)
    return [
        readings(comparison.a.folder, wanted, {f: f.before for f in wanted}),
        readings(comparison.b.folder, wanted, {f: f.after for f in wanted}),
    ]
