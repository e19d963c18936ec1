"""`lrmctl report`: one HTML page from evaluated runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lrmctl.cli import completion
from lrmctl.cli.common import RUNS, Force, RunsDir


def report(
    targets: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN...",
            help="Evaluated runs, the base first; or a study.",
            autocompletion=completion.runs(variants=True, studies=True),
        ),
    ],
    output: Annotated[
        Path | None, typer.Option("--out", "-o", help="The HTML file; beside the first run by default.")
    ] = None,
    title: Annotated[str, typer.Option(help="Headline of the page.")] = "",
    traces: Annotated[
        int, typer.Option(min=0, help="Most traces per arm in the page; 0 leaves the viewer out.")
    ] = 10_000,
    figures: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folder for a paper's figures (SVG, PDF, PNG) and tables (LaTeX, CSV)."),
    ] = None,
    runs_dir: RunsDir = RUNS,
    force: Force = False,
) -> None:
    """Write one self-contained HTML report and its table as JSON.

    Examples:
        lrmctl report base sft rl --out report.html
        lrmctl report families --figures figures
    """
    from lrmctl import api, console

    page = api.report(
        *targets,
        out=output,
        title=title,
        traces=traces,
        figures=figures,
        force=force,
        runs_dir=runs_dir,
        on_warning=console.warn,
    )
    console.out.print(page, markup=False)
