"""`lrmctl eval`: safety and reasoning of a model, or of a run's model."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Annotated

import typer

from lrmctl.cli.common import RUNS, AsJson, RunsDir, Sets, TrustRemoteCode, command_line, load, print_resume_command


def evaluate(
    target: Annotated[
        str,
        typer.Argument(
            help="A model (lab:tiny, a folder, a hub id), a run (run:NAME, its folder), or a model's name on a server."
        ),
    ],
    recipe: Annotated[
        str | None,
        typer.Option(
            help="An eval or study recipe: a file or a shipped name; only the lab's models have one by default."
        ),
    ] = None,
    sets: Sets = None,
    name: Annotated[
        str | None, typer.Option("--name", help="Name of the folder for a model's results; the model's own by default.")
    ] = None,
    variant: Annotated[
        str | None,
        typer.Option(
            help="Keep this evaluation beside the run's own, as NAME@VARIANT; by default named after the decoding mode."
        ),
    ] = None,
    rejudge: Annotated[
        bool, typer.Option("--rejudge", help="Judge and grade the stored completions again; nothing is generated.")
    ] = False,
    replace: Annotated[
        bool, typer.Option("--replace", help="Move an evaluation with other settings to its folder before-N.")
    ] = False,
    training: Annotated[
        str | None,
        typer.Option(help="The model's training data (a run or a recipe), to be searched for evaluation prompts."),
    ] = None,
    trust_remote_code: TrustRemoteCode = False,
    everything: Annotated[bool, typer.Option("--all", help="Show every metric.")] = False,
    runs_dir: RunsDir = RUNS,
    as_json: AsJson = False,
) -> None:
    """Evaluate safety and reasoning.

    Safety is judged in thinking and in answer. Results of a run go into its own folder.
    """
    from lrmctl import api, console
    from lrmctl.api.targets import recipe_for
    from lrmctl.cli.views.summary import show_summary
    from lrmctl.metrics.remarks import undecided

    recipe = recipe or recipe_for(target, runs_dir)
    sets = [*(sets or ()), *(["evaluation.trust_remote_code=true"] if trust_remote_code else ())]
    loaded = load(recipe, sets, "eval", "study")
    console.show_own_warnings()
    options = (("--name", name), ("--variant", variant), ("--training", training))
    settings = [word for option, value in options if value for word in (option, value)]
    settings += ["--replace"] if replace else []
    again = command_line("eval", target, "--recipe", recipe, *settings, sets=sets, runs_dir=runs_dir)
    if rejudge:
        console.say("judging what is stored again")
    with (
        nullcontext() if rejudge else print_resume_command(again),
        nullcontext() if rejudge else console.progress(f"eval {name or target}") as on_progress,
    ):
        done = api.evaluate(
            target,
            loaded,
            name=name,
            variant=variant,
            rejudge=rejudge,
            replace=replace,
            training=training,
            runs_dir=runs_dir,
            on_progress=on_progress,
            on_warning=console.warn,
        )
    console.say(f"results are in {done.folder}")
    summary = done.summary
    show_summary(summary, as_json, everything)
    if any(undecided(entry) for entry in summary["sets"]):  # the reason is shown beside the metrics
        raise typer.Exit(console.FINDINGS)
