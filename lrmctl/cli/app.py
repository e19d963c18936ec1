"""All commands in one app."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from lrmctl.cli.lazy import CommandEntry, LazyGroup

COMMANDS = {
    "demo": CommandEntry("demo:demo", "Run the study of the tiny model, on CPU."),
    "train": CommandEntry("train:train", "Train a model from a recipe of SFT, preferences or RL."),
    "eval": CommandEntry("evaluate:evaluate", "Evaluate safety and reasoning."),
    "analyze": CommandEntry("analyze:analyze", "Analyse reflection, entropy and unsafe thoughts of the thinking."),
    "compare": CommandEntry("compare:compare", "Paired differences B - A with 95 % intervals and p."),
    "export": CommandEntry("export:export", "Write the results of an evaluation in another tool's format."),
    "publish": CommandEntry("publish:publish", "Publish a run's model with its model card, recipe lock and figures."),
    "monitor": CommandEntry("monitor:monitor", "Look for reward hacking in the rollouts of an RL run."),
    "report": CommandEntry("report:report", "Write one self-contained HTML report and its table as JSON."),
    "traces": CommandEntry("traces:traces", "Print the traces of a run that fulfil a condition."),
    "view": CommandEntry("view:view", "Read traces and training rollouts in a browser, until Ctrl-C."),
    "study": CommandEntry("study:study", "Run or continue a study."),
    "doctor": CommandEntry("doctor:doctor", "Check this machine and installation."),
    "recipe": CommandEntry("recipe:app", "Recipes: list, show, copy, validate."),
    "plugin": CommandEntry("plugin:app", "Rewards, judges, benchmarks, data sources and backends."),
    "reward": CommandEntry("reward.commands:app", "Rewards: list, test, score, serve, fit."),
    "judge": CommandEntry("judge.commands:app", "Judges: list, show, score, measure, agree, fit."),
    "benchmark": CommandEntry("benchmark:app", "Benchmarks: list, show."),
    "data": CommandEntry("data.commands:app", "Training data: build, pairs."),
    "model": CommandEntry("model:app", "Import a model; create and check the lab's tiny one."),
    "run": CommandEntry("run:app", "Training runs on this machine."),
}
"""Every command; to add one, add a row here and a file in `commands/`."""


class WrappedSystemError(Exception):
    """Wraps an interrupt or a system error in an exception that the parser does not handle itself."""

    def __init__(self, cause: BaseException) -> None:
        super().__init__(cause)
        self.cause = cause


class _Group(LazyGroup):
    """The parser would handle interrupts and broken pipes silently; `lrmctl.__main__` explains them instead."""

    entries = COMMANDS

    def invoke(self, ctx: typer.Context) -> Any:  # type: ignore[override]  # typer's class is of the parser it carries
        try:
            return super().invoke(ctx)
        except (KeyboardInterrupt, EOFError, OSError) as error:
            raise WrappedSystemError(error) from error


# plain help: rich's markup would take as long to import as everything else together
app = typer.Typer(
    name="lrmctl",
    cls=_Group,
    rich_markup_mode=None,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(ctx: typer.Context, asked: bool) -> None:
    if asked and not ctx.resilient_parsing:
        from lrmctl._util.version import __version__

        typer.echo(f"lrmctl {__version__}")
        raise typer.Exit


@app.callback()
def lrmctl(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Make a large reasoning model safer in its thinking and its answers, and know that it worked."""
