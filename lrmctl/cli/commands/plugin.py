"""`lrmctl plugin`: the names that a recipe can use, and who provides them."""

from __future__ import annotations

from typing import Annotated

import typer

from lrmctl.cli import completion
from lrmctl.cli.common import AsJson

app = typer.Typer(help="Rewards, judges, benchmarks, data sources and backends.", no_args_is_help=True)


@app.command("list")
def list_(
    group: Annotated[
        str | None,
        typer.Argument(
            help="E.g. reward, judge, benchmark, source, lexicon or doctor-check.", autocompletion=completion.groups()
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List every registered name, and plugins that did not load.

    Examples:
        lrmctl plugin list
        lrmctl plugin list judge --json
    """
    from lrmctl import console
    from lrmctl.hooks import registry

    entries, problems = registry.names(group), registry.problems()
    if as_json:
        console.emit_json("plugins", {"plugins": entries, "problems": problems})
        return
    rows = [
        (e.group, e.name, e.distribution if e.builtin else f"{e.distribution} {e.version}", e.summary) for e in entries
    ]
    console.table("", ("kind", "name", "from", "what"), rows)
    for problem in problems:
        console.say(f"not usable: {problem}")


@app.command()
def check(as_json: AsJson = False) -> None:
    """Run the contract checks on every installed third-party plugin.

    Exit code 1 if one violates its contract or does not load.

    Examples:
        lrmctl plugin check
    """
    from lrmctl import console
    from lrmctl.testing.installed import check_installed

    checked = check_installed()
    if as_json:
        console.emit_json("plugin check", checked)
    else:
        rows = [(c.verdict, c.group, c.name, c.distribution, c.reason) for c in checked]
        console.table("", ("verdict", "kind", "name", "from", "reason"), rows)
    if any(c.verdict == "fail" for c in checked):
        raise typer.Exit(console.FINDINGS)
