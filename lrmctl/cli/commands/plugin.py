"""`lrmctl plugin`: the names that a recipe can use, and who provides them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from lrmctl.cli import completion
from lrmctl.cli.common import AsJson

if TYPE_CHECKING:
    from lrmctl.testing.installed import PluginCheck

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
        console.say(problem.sentence)


@app.command()
def new(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the package, e.g. lrmctl-reward-novelty.")],
    kind: Annotated[
        Literal["reward", "judge", "benchmark", "lexicon", "backend", "tracker"],
        typer.Option(help="Kind of plugin that the package is an example of."),
    ],
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Folder of the package; ./NAME by default.")] = None,
    as_json: AsJson = False,
) -> None:
    """Write the package of a new plugin: a small example with tests, to be changed; never overwrites.

    Prints the commands to type next.

    Examples:
        lrmctl plugin new lrmctl-reward-novelty --kind reward
        lrmctl plugin new acme-tracker --kind tracker --out packages/tracker
    """
    from lrmctl import console
    from lrmctl.scaffold import new_plugin

    made = new_plugin(name, kind, out)
    if as_json:
        console.emit_json("plugin new", made._asdict())
        return
    console.say(f"{made.folder} is a package with the {made.kind} {made.name!r}; next:")
    for command in made.commands:
        console.out.print(f"  {command}", markup=False)


Names = Annotated[
    list[str] | None,
    typer.Argument(metavar="[NAME|PATH]...", help="Distributions, registered names, or folders of packages."),
]
Options = Annotated[
    list[str] | None,
    typer.Option("--option", "--options", metavar="KEY=VALUE", help="An option of the named plugins; repeatable."),
]


@app.command("test")
def try_(names: Names = None, options: Options = None, as_json: AsJson = False) -> None:
    """Run the contract checks on installed third-party plugins, all or those named.

    Trackers and engines are tested only if they are named, because one may send to a server or load a large model. Exit
    code 1 if a plugin violates its contract or does not load.

    Examples:
        lrmctl plugin test
        lrmctl plugin test lrmctl-reward-novelty --option min_words=5
    """
    from lrmctl import console
    from lrmctl.recipe.yaml import parse_options
    from lrmctl.testing.installed import check_installed

    checked = check_installed(names or (), parse_options(options or ()))
    if as_json:
        console.emit_json("plugin test", checked)
    else:
        rows = [(c.verdict, c.group, c.name, c.distribution, _latency(c), c.reason) for c in checked]
        console.table("", ("verdict", "kind", "name", "from", "ms per trace", "reason"), rows)
    if any(c.verdict == "fail" for c in checked):
        raise typer.Exit(console.FINDINGS)


@app.command(hidden=True)
def check(names: Names = None, options: Options = None, as_json: AsJson = False) -> None:
    """The name of `lrmctl plugin test` in earlier versions.

    Examples:
        lrmctl plugin check
    """
    try_(names, options, as_json)


def _latency(checked: PluginCheck) -> str:
    took = checked.latency_ms
    return f"{took.single_p50:.3g}, {took.batched_p50:.3g} in a batch of {took.batch}" if took else ""
