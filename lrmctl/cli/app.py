"""All commands under one name."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from lrmctl.cli.commands import (
    analyze,
    benchmark,
    compare,
    demo,
    doctor,
    evaluate,
    export,
    judge,
    model,
    monitor,
    plugin,
    recipe,
    report,
    run,
    study,
    train,
)
from lrmctl.cli.commands.reward import commands


class WrappedSystemError(Exception):
    """An interrupt or a system error on its way out, in a coat that the parser does not know."""

    def __init__(self, cause: BaseException) -> None:
        super().__init__(cause)
        self.cause = cause


class _Group(TyperGroup):
    """The parser ends interrupts and broken pipes by itself, in silence; here `lrmctl.__main__` explains them."""

    def invoke(self, ctx: typer.Context) -> Any:  # type: ignore[override]  # typer's class is of the parser it carries
        try:
            return super().invoke(ctx)
        except (KeyboardInterrupt, EOFError, OSError) as error:
            raise WrappedSystemError(error) from error


# plain help: rich's markup would cost as much start-up time as everything else together
app = typer.Typer(
    name="lrmctl",
    cls=_Group,
    rich_markup_mode=None,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(asked: bool) -> None:
    if asked:
        from lrmctl._util.version import __version__

        typer.echo(f"lrmctl {__version__}")
        raise typer.Exit


@app.callback()
def lrmctl(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Say it and leave.")
    ] = False,
) -> None:
    """Make a large reasoning model safer in its thinking and its answers, and know that it worked."""


app.command("demo")(demo.demo)
app.command("train")(train.train)
app.command("eval")(evaluate.evaluate)
app.command("analyze")(analyze.analyze)
app.command("compare")(compare.compare)
app.command("export")(export.export)
app.command("monitor")(monitor.monitor)
app.command("report")(report.report)
app.command("study")(study.study)
app.command("doctor")(doctor.doctor)
app.add_typer(recipe.app, name="recipe")
app.add_typer(plugin.app, name="plugin")
app.add_typer(commands.app, name="reward")
app.add_typer(judge.app, name="judge")
app.add_typer(benchmark.app, name="benchmark")
app.add_typer(model.app, name="model")
app.add_typer(run.app, name="run")
