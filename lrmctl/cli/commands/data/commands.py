"""`lrmctl data`: training data made from completions, given or sampled."""

from __future__ import annotations

import typer

from lrmctl.cli.commands.data import build, pairs

app = typer.Typer(help="Training data: build, pairs.", no_args_is_help=True)
app.command("build")(build.build)
app.command("pairs")(pairs.pairs)


@app.callback()
def data() -> None:
    """Training data made from completions, given or sampled."""
