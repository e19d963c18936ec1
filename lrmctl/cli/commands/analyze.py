"""`lrmctl analyze`: the reasoning of an evaluated run."""

from __future__ import annotations

from typing import Annotated

import typer

from lrmctl.cli import completion
from lrmctl.cli.common import RUNS, AsJson, RunsDir, Sets


def analyze(
    target: Annotated[
        str,
        typer.Argument(help="An evaluated run: run:NAME, its name, or its folder.", autocompletion=completion.runs()),
    ],
    recipe: Annotated[
        str | None,
        typer.Option(
            autocompletion=completion.recipes("study"),
            help="A study recipe whose analysis section is used; by default reflection and entropy.",
        ),
    ] = None,
    base: Annotated[
        str | None, typer.Option(help="Analysed run of the base, to compare with.", autocompletion=completion.runs())
    ] = None,
    sets: Sets = None,
    runs_dir: RunsDir = RUNS,
    as_json: AsJson = False,
) -> None:
    """Analyse reflection, entropy and unsafe thoughts of the thinking.

    Examples:
        lrmctl analyze rl --base base
        lrmctl analyze run:rl --recipe demo --json
    """
    from lrmctl import api, console
    from lrmctl.api.targets import run_folder

    with console.progress(f"analyze {target}") as on_progress:
        found = api.analyze(
            target,
            recipe=recipe,
            base=base,
            overrides=sets,
            runs_dir=runs_dir,
            on_progress=on_progress,
            on_warning=console.say,
            on_note=console.say,
        )
    if as_json:
        console.emit_json("analysis", found)
        return
    from lrmctl.cli.views import analysis

    console.table("", *analysis.rows(found))
    for line in analysis.notes(found):
        console.out.print(line, markup=False)
    console.out.print(run_folder(target, runs_dir) / "analysis", markup=False)
