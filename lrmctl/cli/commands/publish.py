"""`lrmctl publish`: a run's model with its card, to a folder or to the hub."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from lrmctl.cli import completion
from lrmctl.cli.common import RUNS, RunsDir


def publish(
    target: Annotated[
        str,
        typer.Argument(
            metavar="RUN",
            help="A trained run: run:NAME, its name, its folder; NAME@VARIANT for the figures of a variant.",
            autocompletion=completion.runs(variants=True),
        ),
    ],
    to: Annotated[
        Literal["folder", "hub"], typer.Option(help="Write a folder, or upload to a repository of the hub.")
    ] = "folder",
    output: Annotated[
        Path | None, typer.Option("--out", "-o", help="A new folder; publish/folder in the run's own by default.")
    ] = None,
    repo: Annotated[str | None, typer.Option(metavar="ORG/NAME", help="With --to hub: the repository.")] = None,
    public: Annotated[bool, typer.Option("--public", help="With --to hub: for everybody; private by default.")] = False,
    with_data: Annotated[
        bool, typer.Option("--with-data", help="Add the cards of data sets that were built for it.")
    ] = False,
    with_text: Annotated[
        bool, typer.Option("--with-text", help="Add texts of prompts and completions, harmful ones too.")
    ] = False,
    licence: Annotated[
        str, typer.Option(metavar="ID", help="Of the weights, as the hub names it; that of the base by default.")
    ] = "",
    runs_dir: RunsDir = RUNS,
) -> None:
    """Publish a run's model with its model card, recipe lock and figures.

    The card says what was trained on which data, with licences and hashes, what was measured, by which judge and with
    which intervals, and the controls of its study. Texts of prompts and completions are left out.

    Examples:
        lrmctl publish rl --out rl-model
        lrmctl publish families/rl --to hub --repo my-org/rl-guard
        lrmctl publish rl --with-data --licence apache-2.0
    """
    from lrmctl import api, console

    if to == "folder" and public:
        from lrmctl.errors import LrmctlError

        raise LrmctlError("--public is for --to hub", fix="say --to hub --repo ORG/NAME, or leave it out")
    done = api.publish(
        target,
        to,
        out=output,
        repo=repo,
        public=public,
        with_data=with_data,
        with_text=with_text,
        licence=licence,
        runs_dir=runs_dir,
        on_warning=console.warn,
    )
    console.out.print(done.url or done.folder, markup=False)
