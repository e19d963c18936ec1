"""`lrmctl data`: training data made from completions."""

from __future__ import annotations

import typer

from lrmctl.cli.commands.data import pairs

app = typer.Typer(help="Training data: pairs.", no_args_is_help=True)
app.command("pairs")(pairs.pairs)


@app.callback()
def data() -> None:
    """Training data made from completions."""
